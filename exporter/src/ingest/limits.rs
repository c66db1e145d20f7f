//! How much is taken at once: bytes in handling and batches a second. What exceeds it gets a 503 before
//! anything of it is read, so memory does not grow.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this many, rounded up.
const UNIT: usize = 1024;

/// Bytes that may be in handling at once.
#[derive(Clone, Debug)]
pub(super) struct BytesInFlight {
    units: Arc<Semaphore>,
    all: usize,
}

impl BytesInFlight {
    pub(super) fn new(bytes: usize) -> Self {
        let all = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(all)), all }
    }

    /// Room for so many bytes, held until it is dropped.
    pub(super) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).ok()?;
        Arc::clone(&self.units).try_acquire_many_owned(units).ok()
    }

    /// Room for so many bytes besides what is held; no more than there is in all, so that what is alone always fits.
    pub(super) fn take_more(
        &self,
        held: &OwnedSemaphorePermit,
        bytes: usize,
    ) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT).min(self.all.saturating_sub(held.num_permits()));
        Arc::clone(&self.units).try_acquire_many_owned(u32::try_from(units).ok()?).ok()
    }
}

/// Batches a second, with a second's worth at once.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: Option<f64>,
    state: Mutex<(Instant, f64)>,
}

impl Rate {
    pub(super) fn new(per_second: Option<u32>, now: Instant) -> Self {
        let per_second = per_second.map(f64::from);
        Self { per_second, state: Mutex::new((now, per_second.unwrap_or_default())) }
    }

    /// Whether one more may come.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let Some(rate) = self.per_second else { return true };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, left) = *state;
        let left = (left + now.duration_since(since).as_secs_f64() * rate).min(rate.max(1.0));
        let allowed = left >= 1.0;
        *state = (now, if allowed { left - 1.0 } else { left });
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn room_is_given_while_there_is_some() {
        let in_flight = BytesInFlight::new(10 * UNIT);
        let first = in_flight.take(9 * UNIT + 1).unwrap();
        assert!(in_flight.take(0).is_none());
        drop(first);
        assert!(in_flight.take(10 * UNIT).is_some());
        assert!(in_flight.take(11 * UNIT).is_none());
    }

    #[test]
    fn more_is_given_while_there_is_some_and_to_one_alone_what_there_is() {
        let in_flight = BytesInFlight::new(10 * UNIT);
        let alone = in_flight.take(4 * UNIT).unwrap();
        let rest = in_flight.take_more(&alone, 100 * UNIT).unwrap();
        assert_eq!((rest.num_permits(), in_flight.units.available_permits()), (6, 0));
        assert!(in_flight.take_more(&alone, 0).is_some(), "nothing needs no room");
        drop(rest);
        let other = in_flight.take(4 * UNIT).unwrap();
        assert!(in_flight.take_more(&other, 3 * UNIT).is_none());
        assert!(in_flight.take_more(&other, 2 * UNIT).is_some());
    }

    #[test]
    fn so_many_a_second_are_let_in() {
        let start = Instant::now();
        let rate = Rate::new(Some(10), start);
        let at = |ms| (0..100).filter(|_| rate.allows(start + Duration::from_millis(ms))).count();
        assert_eq!([at(0), at(500), at(10_000)], [10, 5, 10]);
        assert!((0..1000).all(|_| Rate::new(None, start).allows(start)));
    }
}
