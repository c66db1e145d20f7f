//! The cost of a search in steps: bytes examined, over all passes.
//!
//! Steps are the same on every machine and in every run, so tests can bound them exactly, unlike time. They are
//! counted in tests and with the feature `steps` only.

/// Counts steps.
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

/// Returns the steps of this thread since the last call.
#[cfg(any(test, feature = "steps"))]
pub fn steps() -> u64 {
    counter::STEPS.take()
}
