//! Work in slices: a search that takes long pauses after so many steps, so that its worker can serve others.
//!
//! A search is written once, as an `async` function that calls [`rest`] between its parts. Nothing is awaited but
//! the next slice: [`now`] runs a search to its end, [`Sliced`] as far as it is allowed to each time. The result
//! is the same, wherever it pauses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::redact::text::cost::{is_spent, taken, within};

/// Steps of a slice: about a millisecond.
pub const SLICE: u64 = 500_000;

/// Pauses the search where the steps of its slice are spent.
pub(crate) async fn rest() {
    if is_spent() {
        Pause { is_over: false }.await;
    }
}

/// Pending once.
struct Pause {
    is_over: bool,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.is_over, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Runs a search to its end, without a pause.
pub fn now<T>(search: impl Future<Output = T>) -> T {
    let mut search = std::pin::pin!(search);
    loop {
        let polled = within(None, || search.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        if let Poll::Ready(result) = polled {
            return result;
        }
    }
}

/// A search that runs slice by slice.
pub struct Sliced<T> {
    search: Pin<Box<dyn Future<Output = T>>>,
    left: u64,
}

impl<T> fmt::Debug for Sliced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sliced").field("left", &self.left).finish_non_exhaustive()
    }
}

/// How far a search has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice<T> {
    /// It is done, with this result.
    Done(T),
    /// It goes on with the next slice.
    Paused,
    /// It has used up the steps that it was given in all.
    Exhausted,
}

impl<T> Sliced<T> {
    /// Begins a search that may take this many steps in all.
    pub(crate) fn new(search: impl Future<Output = T> + 'static, steps_max: u64) -> Self {
        Self { search: Box::pin(search), left: steps_max }
    }

    /// Sets how many steps are left in all.
    #[cfg(test)]
    pub(crate) fn leave(&mut self, steps: u64) {
        self.left = steps;
    }

    /// Searches on for about this many steps: a part that was begun is brought to its end.
    pub fn go_on(&mut self, steps: u64) -> Slice<T> {
        let before = taken();
        let search = self.search.as_mut();
        let polled = within(Some(steps), || search.poll(&mut Context::from_waker(Waker::noop())));
        self.left = self.left.saturating_sub(taken().wrapping_sub(before));
        match polled {
            Poll::Ready(result) => Slice::Done(result),
            Poll::Pending if self.left == 0 => Slice::Exhausted,
            Poll::Pending => Slice::Paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::text::cost::step;

    async fn count(to: usize) -> usize {
        for _ in 0..to {
            step(10);
            rest().await;
        }
        to
    }

    #[test]
    fn a_search_pauses_where_its_slice_is_spent_and_takes_up_from_there() {
        let mut search = Sliced::new(count(5), u64::MAX);
        assert_eq!(search.go_on(20), Slice::Paused);
        assert_eq!(search.go_on(15), Slice::Paused);
        assert_eq!(search.go_on(100), Slice::Done(5));
        assert_eq!(now(count(3)), 3);
    }

    #[test]
    fn a_search_without_a_pause_runs_to_its_end_within_a_slice_of_another() {
        let mut search = Sliced::new(async { now(count(100)) }, u64::MAX);
        assert_eq!(search.go_on(1), Slice::Done(100));
    }

    #[test]
    fn a_search_that_takes_more_than_it_was_given_ends() {
        let mut search = Sliced::new(count(100), 100);
        let slices = (0..100).map(|_| search.go_on(20)).take_while(|slice| *slice == Slice::Paused);
        assert_eq!(slices.count(), 4);
        assert_eq!(search.go_on(20), Slice::Exhausted);
    }
}
