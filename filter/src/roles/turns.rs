//! Whose long work goes on: requests that are searched slice by slice take turns.
//!
//! Only as many are under way as may be in memory together; the others wait, held by the proxy, and nothing is read
//! of them before. A short one does not wait for a long one that came before it, except for its slices.

use std::collections::VecDeque;

/// Bytes of a request that is dealt with in one callback.
pub const AT_ONCE: usize = 16 << 10;
/// Most bytes of the requests that are under way together, unless one alone is larger.
const UNDER_WAY_MAX: usize = 16 << 20;

/// The requests that wait for their next slice.
#[derive(Debug)]
pub struct Turns<T> {
    /// Those under way, the next one first, and the bytes of all of them.
    under_way: VecDeque<(T, usize)>,
    bytes: usize,
    /// Those that have not begun, in the order in which they came.
    waiting: VecDeque<(T, usize)>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { under_way: VecDeque::new(), bytes: 0, waiting: VecDeque::new() }
    }
}

impl<T> Turns<T> {
    /// Takes in a request of this many bytes.
    pub fn enter(&mut self, request: T, bytes: usize) {
        self.waiting.push_back((request, bytes));
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }

    /// Takes out the request whose turn it is, and its bytes.
    pub fn take(&mut self) -> Option<(T, usize)> {
        while let Some((_, bytes)) = self.waiting.front()
            && (self.bytes == 0 || self.bytes + bytes <= UNDER_WAY_MAX)
        {
            self.bytes += bytes;
            self.under_way.extend(self.waiting.pop_front());
        }
        let (request, bytes) = self.under_way.pop_front()?;
        self.bytes -= bytes;
        Some((request, bytes))
    }

    /// Puts one back that goes on, behind the others under way.
    pub fn put_back(&mut self, request: T, bytes: usize) {
        self.bytes += bytes;
        self.under_way.push_back((request, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs requests of so many slices each; returns the order in which they had theirs.
    fn run(turns: &mut Turns<(char, u32)>) -> String {
        let mut order = String::new();
        while let Some(((name, slices), bytes)) = turns.take() {
            order.push(name);
            if slices > 1 {
                turns.put_back((name, slices - 1), bytes);
            }
        }
        assert!(turns.is_empty() && turns.bytes == 0);
        order
    }

    #[test]
    fn those_under_way_take_turns_and_a_short_one_is_done_soon() {
        let mut turns = Turns::default();
        turns.enter(('a', 4), 10 << 20);
        turns.enter(('b', 1), 1 << 20);
        turns.enter(('c', 2), 1 << 20);
        assert_eq!(run(&mut turns), "abcacaa");
    }

    #[test]
    fn no_more_are_under_way_than_fit_into_memory_together() {
        let mut turns = Turns::default();
        turns.enter(('a', 2), 10 << 20);
        turns.enter(('b', 2), 10 << 20);
        turns.enter(('c', 2), 1 << 20);
        assert_eq!(run(&mut turns), "aabcbc", "b waits for a, and c does not overtake b");
        turns.enter(('d', 2), UNDER_WAY_MAX + 1);
        assert_eq!(run(&mut turns), "dd", "one that is larger runs alone");
    }
}
