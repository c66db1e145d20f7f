//! How much larger events become as spans.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of spans become of a byte of events, as it was of late, in 1024ths: so that what is pulled for a
/// batch is about what the batch may hold, and not a multiple of it.
#[derive(Debug)]
pub(super) struct Growth(AtomicUsize);

impl Default for Growth {
    fn default() -> Self {
        Self(AtomicUsize::new(2 * Self::ONE))
    }
}

impl Growth {
    const ONE: usize = 1024;

    /// So many bytes became so many.
    pub(super) fn saw(&self, events: usize, spans: usize) {
        let now = spans.saturating_mul(Self::ONE).checked_div(events).unwrap_or(Self::ONE);
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.midpoint(now.clamp(Self::ONE / 4, 64 * Self::ONE)), Ordering::Relaxed);
    }

    /// Bytes of events that become so many bytes of spans.
    pub(super) fn before(&self, spans: usize) -> usize {
        let growth = self.0.load(Ordering::Relaxed).max(1);
        spans.saturating_mul(Self::ONE) / growth
    }

    /// Bytes of spans that become of so many bytes of events.
    pub(super) fn after(&self, events: usize) -> usize {
        events.saturating_mul(self.0.load(Ordering::Relaxed)) / Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pulled_follows_what_became_of_it() {
        let growth = Growth::default();
        assert_eq!((growth.before(2 << 20), growth.after(1 << 20)), (1 << 20, 2 << 20));
        for _ in 0..20 {
            growth.saw(1 << 20, 4 << 20);
        }
        assert!((500 << 10..530 << 10).contains(&growth.before(2 << 20)), "{growth:?}");
        // Of what a destination does not want nothing becomes, and of nothing nothing is known.
        for _ in 0..20 {
            growth.saw(1 << 20, 0);
            growth.saw(0, 0);
        }
        assert!((2 << 20..=8 << 20).contains(&growth.before(2 << 20)), "{growth:?}");
    }
}
