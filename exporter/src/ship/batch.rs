//! What a destination's task has in hand: events pulled and not yet acknowledged, oldest first.
//!
//! Whatever enters a [`Hand`] leaves it acknowledged, handed back or terminated; the gauge follows.

use std::{collections::VecDeque, sync::Arc};

use async_nats::jetstream::{AckKind, Message as Pull, message::Acker};
use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::time::timeout;
use tracing::{debug, warn};
use weir_event::{EventId, v1::TraceEvent};

use super::ACK_DEADLINE;
use crate::{
    metrics::ShipMetrics,
    spans::{self, View},
};

/// Bytes of encoded spans in one POST, before compression; one event may be more.
pub const MAX_ENCODED: usize = 4 << 20;

/// A body ready to be sent, as often as it takes.
pub(super) struct Payload {
    /// What is sent.
    pub body: Bytes,
    /// How many spans it holds.
    pub spans: u64,
}

struct Held {
    acker: Acker,
    spans: Vec<Span>,
    encoded: usize,
}

/// Events in hand.
pub(super) struct Hand {
    held: VecDeque<Held>,
    bytes: usize,
    view: Arc<View>,
    metrics: ShipMetrics,
}

impl Hand {
    pub(super) fn new(view: Arc<View>, metrics: ShipMetrics) -> Self {
        Self { held: VecDeque::new(), bytes: 0, view, metrics }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Bytes of events taken so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message in, or terminates it where it is no event: it would be none the next time either.
    pub(super) async fn take(&mut self, message: Pull) {
        let sequence = message.info().map(|info| info.stream_sequence).unwrap_or_default();
        let (message, acker) = message.split();
        self.bytes = self.bytes.saturating_add(message.length);
        let Some(spans) = map(message.payload, &self.view) else {
            self.metrics.undecodable.inc();
            let destination = self.metrics.destination;
            warn!(destination, sequence, "a message that is no event was set aside");
            tell(std::iter::once(&acker), AckKind::Term).await;
            return;
        };
        let encoded = spans.iter().map(Span::encoded_len).sum();
        self.held.push_back(Held { acker, spans, encoded });
        self.metrics.in_hand.inc();
    }

    /// The spans of as many events from the front as fit `limit` bytes, at least one, and how many events.
    pub(super) fn front(&mut self, limit: usize) -> (usize, Vec<Span>) {
        let count = fitting(self.held.iter().map(|held| held.encoded), limit);
        let spans =
            self.held.iter_mut().take(count).flat_map(|held| std::mem::take(&mut held.spans)).collect();
        (count, spans)
    }

    /// Acknowledges so many events from the front.
    pub(super) async fn acknowledge(&mut self, count: usize) {
        let done: Vec<_> = self.held.drain(..count.min(self.held.len())).map(|held| held.acker).collect();
        let events = u64::try_from(done.len()).unwrap_or(u64::MAX);
        tell(done.iter(), AckKind::Ack).await;
        self.metrics.delivered.inc_by(events);
        self.metrics.in_hand.dec_by(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Tells JetStream something about everything in hand.
    pub(super) async fn tell_all(&self, kind: AckKind) {
        tell(self.held.iter().map(|held| &held.acker), kind).await;
    }

    /// Gives everything back: JetStream delivers it again at once.
    pub(super) async fn hand_back(self) {
        self.tell_all(AckKind::Nak(None)).await;
        self.metrics.handed_back.inc_by(u64::try_from(self.held.len()).unwrap_or(u64::MAX));
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.metrics.in_hand.dec_by(i64::try_from(self.held.len()).unwrap_or(i64::MAX));
    }
}

fn map(payload: Bytes, view: &View) -> Option<Vec<Span>> {
    let event = TraceEvent::decode(payload).ok()?;
    let id = EventId::of(&event)?;
    Some(spans::of(id, &event, view))
}

/// How many sizes from the front add up to at most `limit`, at least one where there is any.
fn fitting(sizes: impl Iterator<Item = usize>, limit: usize) -> usize {
    let mut total = 0_usize;
    let mut count = 0;
    for size in sizes {
        total = total.saturating_add(size);
        if total > limit && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

/// Tells JetStream something; what cannot be told comes again, which is safe.
async fn tell(ackers: impl Iterator<Item = &Acker>, kind: AckKind) {
    let all = async {
        for acker in ackers {
            acker.ack_with(kind).await?;
        }
        Ok::<(), async_nats::Error>(())
    };
    match timeout(ACK_DEADLINE, all).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, ?kind, "cannot tell JetStream"),
        Err(_) => debug!(?kind, "cannot tell JetStream in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_holds_what_fits_and_at_least_one_event() {
        let fits = |sizes: &[usize]| fitting(sizes.iter().copied(), 10);
        assert_eq!(fits(&[]), 0);
        assert_eq!(fits(&[4, 6, 1]), 2);
        assert_eq!(fits(&[4, 7]), 1);
        assert_eq!(fits(&[99, 1]), 1);
        assert_eq!(fits(&[usize::MAX, usize::MAX]), 1);
    }

    #[test]
    fn what_is_no_event_has_no_spans() {
        assert!(map(Bytes::from_static(b"\xff"), &View::default()).is_none());
        assert!(map(Bytes::new(), &View::default()).is_none());
    }
}
