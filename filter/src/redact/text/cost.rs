//! The cost of a search in steps: bytes examined, over all passes.
//!
//! Steps are the same on every machine and in every run, unlike time. Tests bound them exactly, and a long search
//! is divided by them ([`crate::redact::Sliced`]).

use std::cell::Cell;

thread_local! {
    /// Steps taken by this thread.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    /// A search that may pause does so once this many were taken.
    static LIMIT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Whether each byte that a validator looks at is counted: where costs are measured. To count them makes a search a
/// third slower, so elsewhere each candidate counts as much as a usual one.
const EXACT: bool = cfg!(any(test, feature = "steps"));

/// Counts steps.
#[inline(always)]
pub(crate) fn step(count: usize) {
    TAKEN.with(|taken| taken.set(taken.get().wrapping_add(count as u64)));
}

/// Steps that a candidate counts as, where the bytes that its validator looks at are not counted one by one.
const CANDIDATE: usize = 24;

/// Counts a candidate of a validator.
#[inline(always)]
pub(crate) fn candidate() {
    roughly(CANDIDATE);
}

/// Counts steps in place of [`look`], where that is not exact.
#[inline(always)]
pub(crate) fn roughly(count: usize) {
    if !EXACT {
        step(count);
    }
}

/// Counts bytes that are looked at for a candidate, where that is exact.
#[inline(always)]
pub(crate) fn look(count: usize) {
    if EXACT {
        step(count);
    }
}

/// Returns the steps that this thread has taken since it began.
pub(crate) fn taken() -> u64 {
    TAKEN.get()
}

/// Whether the steps of the running slice are spent.
pub(crate) fn is_spent() -> bool {
    TAKEN.get() >= LIMIT.get()
}

/// Sets how many steps may be taken before a search pauses, while `call` runs. Without a count it never does.
pub(crate) fn within<T>(steps: Option<u64>, call: impl FnOnce() -> T) -> T {
    /// Restores the limit, also when `call` panics in a test.
    struct Before(u64);
    impl Drop for Before {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let limit = steps.map_or(u64::MAX, |steps| TAKEN.get().saturating_add(steps));
    let _before = Before(LIMIT.replace(limit));
    call()
}

/// Returns the steps of this thread since the last call.
pub fn steps() -> u64 {
    thread_local! {
        static COUNTED: Cell<u64> = const { Cell::new(0) };
    }
    let now = taken();
    now.wrapping_sub(COUNTED.replace(now))
}
