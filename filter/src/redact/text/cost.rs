//! What a search costs, in steps: bytes looked at, in all passes over a text.
//!
//! Steps are the same on every machine and in every run, so tests hold a bound of them where time would
//! only be measured. They are counted in tests and with the feature `steps`; elsewhere nothing is.

/// Counts so many steps.
#[inline(always)]
pub(crate) fn step(_count: usize) {
    #[cfg(any(test, feature = "steps"))]
    counter::STEPS.with(|steps| steps.set(steps.get() + _count as u64));
}

#[cfg(any(test, feature = "steps"))]
mod counter {
    use std::cell::Cell;

    thread_local! {
        pub(crate) static STEPS: Cell<u64> = const { Cell::new(0) };
    }
}

/// How many steps this thread has made since this was last asked.
#[cfg(any(test, feature = "steps"))]
pub fn steps() -> u64 {
    counter::STEPS.take()
}
