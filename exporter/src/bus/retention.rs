//! Events do not lie about: what every destination has settled, and is older than `keep`, is purged.
//!
//! How old a sequence is, is known from looking at the stream now and then. Under `when_full: refuse` what every
//! destination has is purged without waiting once the stream is nearly full. Only destinations' consumers are
//! asked: the one that feeds the metrics holds nothing back.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    client::Bus,
    connection::StreamSettings,
    error::BusError,
    names::{STREAM, destination_of},
};
use crate::config::wire::WhenFull;

/// How often what every destination has is purged, at most.
const PURGE: Duration = Duration::from_secs(5);

/// How many looks are remembered at most.
const MAX_LOOKS: usize = 256;

/// A stream that is this full, in percent, makes room before its time.
const NEARLY_FULL: u64 = 80;

/// What the stream's last sequence was, and when.
#[derive(Debug, Default)]
pub(super) struct Retention {
    looks: VecDeque<(Instant, u64)>,
}

impl Retention {
    /// Remembers a look; they are `keep / 64` apart at least, so there are few.
    fn saw(&mut self, now: Instant, last: u64, keep: Duration) {
        let apart = keep / 64;
        if self.looks.back().is_none_or(|(at, _)| now.duration_since(*at) >= apart) {
            self.looks.push_back((now, last));
        }
        while self.looks.len() > MAX_LOOKS {
            self.looks.pop_front();
        }
    }

    /// The highest sequence that is known to be older than `keep`.
    fn older(&mut self, now: Instant, keep: Duration) -> u64 {
        let old = self.looks.partition_point(|(at, _)| now.duration_since(*at) >= keep);
        let sequence = old.checked_sub(1).and_then(|last| self.looks.get(last)).map_or(0, |(_, last)| *last);
        self.looks.drain(..old.saturating_sub(1));
        sequence
    }
}

impl Bus {
    /// Purges what every destination has and is older than `keep`, until `stop`.
    pub async fn purge(&self, stop: CancellationToken) {
        let mut retention = Retention::default();
        loop {
            let settings = self.stream_wanted();
            let pause = PURGE.min(settings.keep.max(Duration::from_secs(1)));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if self.state().is_ok()
                && let Err(error) = self.purge_settled(&mut retention, &settings).await
            {
                debug!(%error, "nothing was purged");
            }
        }
    }

    /// Purges what is due.
    async fn purge_settled(
        &self,
        retention: &mut Retention,
        settings: &StreamSettings,
    ) -> Result<(), BusError> {
        let stream = self.look(STREAM).await?;
        let state = &stream.cached_info().state;
        let now = Instant::now();
        retention.saw(now, state.last_sequence, settings.keep);
        let full = u64::try_from(settings.max_bytes).unwrap_or(u64::MAX) / 100 * NEARLY_FULL;
        let hurried = settings.when_full == WhenFull::Refuse && state.bytes >= full;
        let older = if hurried { state.last_sequence } else { retention.older(now, settings.keep) };
        if older < state.first_sequence || state.messages == 0 {
            return Ok(());
        }
        let what = "purge what every destination has";
        let consumers: Vec<_> = stream.consumers().try_collect().await.map_err(BusError::cannot(what))?;
        let of_destinations = consumers.iter().filter(|one| destination_of(&one.name).is_some());
        let settled = of_destinations.map(|one| one.ack_floor.stream_sequence).min();
        let Some(settled) = settled else { return Ok(()) };
        let until = settled.min(older);
        if until >= state.first_sequence {
            let purged = stream.purge().sequence(until + 1).await.map_err(BusError::cannot(what))?;
            debug!(events = purged.purged, "purged what every destination has");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_old_once_it_was_seen_long_enough_ago() {
        let (mut retention, start, keep) = (Retention::default(), Instant::now(), Duration::from_secs(64));
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            retention.saw(now, second * 10, keep);
            retention.saw(now, second * 10 + 5, keep);
            let expected = second.saturating_sub(64) * 10;
            assert_eq!(retention.older(now, keep), expected, "after {second} s");
        }
        assert!(retention.looks.len() <= 66);
    }

    #[test]
    fn without_keep_all_that_was_seen_is_old() {
        let (mut retention, now) = (Retention::default(), Instant::now());
        retention.saw(now, 7, Duration::ZERO);
        assert_eq!(retention.older(now, Duration::ZERO), 7);
    }
}
