//! The memory budgets of one VM, shared by all requests in progress.
//!
//! One budget is the whole, for everything that is held for requests; that for captured content is a part of it.
//! A permit returns its bytes when it is dropped, so none are lost. Bytes are those that were allocated, not
//! those that are in use: buffers grow ahead of their content.

use std::cell::Cell;
use std::rc::Rc;

/// How many times a request's body is in memory while it is decided on and rewritten: it, and what is sent.
pub const BODY_COPIES: usize = 2;
/// The same where it is searched: also its text without escapes, and what replaces it.
pub const SEARCHED_COPIES: usize = 4;
/// How many times a response, or an event of one, is in memory while it is rewritten: it, its text, what the
/// detectors read of that, what is restored in it, and what is sent.
pub const RESPONSE_COPIES: usize = 6;
/// What the outbox has for itself, in bytes, so that events are not lost where requests use all the rest: its
/// events, and their entries.
pub const OUTBOX_SHARE: usize = 8 << 20;

/// What an allocation takes beside what it is for, in bytes.
pub const ALLOCATION: usize = 16;

/// A budget of one VM, in bytes.
#[derive(Debug, Default)]
pub struct Budget {
    max: Cell<usize>,
    used: Cell<usize>,
    whole: Option<Rc<Budget>>,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(max: usize) -> Self {
        Self { max: Cell::new(max), ..Self::default() }
    }

    /// A budget within another one: what is reserved in it is reserved there too. It has no bytes until its
    /// limit is set.
    pub fn part_of(whole: &Rc<Self>) -> Self {
        Self { whole: Some(Rc::clone(whole)), ..Self::default() }
    }

    /// Sets the limit. Bytes already reserved stay reserved.
    pub fn set(&self, max: usize) {
        self.max.set(max);
    }

    /// The limit, in bytes.
    pub fn max(&self) -> usize {
        self.max.get()
    }

    /// Bytes reserved.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether so many bytes could be reserved now.
    pub fn has(&self, bytes: usize) -> bool {
        self.used.get().saturating_add(bytes) <= self.max.get()
    }

    fn add(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_add(bytes));
    }

    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }
}

/// Bytes reserved by one holder. The default is of no budget, and so without a limit.
#[derive(Debug, Default)]
pub struct BudgetPermit {
    budget: Option<Rc<Budget>>,
    held: usize,
    /// Bytes reserved in the budget that this one is a part of.
    held_of_whole: usize,
}

impl BudgetPermit {
    /// Creates a permit for no bytes yet.
    pub fn new(budget: &Rc<Budget>) -> Self {
        Self { budget: Some(Rc::clone(budget)), ..Self::default() }
    }

    /// Creates a permit for so many bytes; `None` if the budget does not allow it.
    pub fn of(budget: &Rc<Budget>, bytes: usize) -> Option<Self> {
        let mut permit = Self::new(budget);
        permit.take(bytes).then_some(permit)
    }

    /// Creates one of the same budget, for no bytes yet.
    pub fn another(&self) -> Self {
        Self { budget: self.budget.clone(), ..Self::default() }
    }

    /// Bytes reserved.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Reserves more bytes; returns `false`, reserving none, if the budget does not allow it.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.reserve(bytes, bytes)
    }

    /// The same for a buffer that grows by doubling: up to twice its content is allocated, and counts in the
    /// whole. The part is limited by content.
    pub fn take_growing(&mut self, bytes: usize) -> bool {
        self.reserve(bytes, bytes.saturating_mul(2))
    }

    /// Reserves so many bytes in all: more or fewer than before. Returns `false`, and changes nothing, if the
    /// budget does not allow it; fewer bytes are always allowed.
    pub fn resize(&mut self, bytes: usize) -> bool {
        match bytes.checked_sub(self.held) {
            Some(more) => self.take(more),
            None => {
                let fewer = self.held - bytes;
                let of_whole = fewer.min(self.held_of_whole);
                self.give_back(fewer, of_whole);
                true
            }
        }
    }

    fn reserve(&mut self, bytes: usize, of_whole: usize) -> bool {
        if let Some(budget) = &self.budget {
            if !budget.has(bytes) || budget.whole.as_ref().is_some_and(|whole| !whole.has(of_whole)) {
                return false;
            }
            budget.add(bytes);
            if let Some(whole) = &budget.whole {
                whole.add(of_whole);
                self.held_of_whole += of_whole;
            }
        }
        self.held = self.held.saturating_add(bytes);
        true
    }

    fn give_back(&mut self, bytes: usize, of_whole: usize) {
        self.held -= bytes;
        self.held_of_whole -= of_whole;
        let Some(budget) = &self.budget else { return };
        budget.give_back(bytes);
        if let Some(whole) = &budget.whole {
            whole.give_back(of_whole);
        }
    }
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        self.give_back(self.held, self.held_of_whole);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_budget_limits_all_holders_together_and_gets_its_bytes_back() {
        let budget = Rc::new(Budget::new(10));
        let (mut one, mut other) = (BudgetPermit::new(&budget), BudgetPermit::new(&budget));
        assert!(one.take(6) && !other.take(5) && other.take(4) && !one.take(1));
        drop(one);
        assert!(other.take(6) && budget.used() == 10);
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_part_is_limited_by_the_whole_in_which_growing_buffers_count_twice() {
        let whole = Rc::new(Budget::new(20));
        let part = Rc::new(Budget::part_of(&whole));
        part.set(15);
        let (mut exact, mut growing) = (BudgetPermit::new(&part), BudgetPermit::new(&part));
        assert!(exact.take(4) && growing.take_growing(8));
        assert_eq!((part.used(), whole.used()), (12, 20));
        assert!(!exact.take(1), "the part has bytes left, the whole has none");
        assert!(growing.resize(2));
        assert_eq!((part.used(), whole.used()), (6, 14));
        drop((exact, growing));
        assert_eq!((part.used(), whole.used()), (0, 0));
    }

    proptest! {
        #[test]
        fn whatever_holders_do_nothing_exceeds_the_limit_and_all_comes_back(
            steps in prop::collection::vec((0usize..4, 0usize..5, 0usize..40), 0..200),
        ) {
            let whole = Rc::new(Budget::new(100));
            let part = Rc::new(Budget::part_of(&whole));
            part.set(30);
            let new = |place: usize| BudgetPermit::new(if place.is_multiple_of(2) { &whole } else { &part });
            let mut permits: Vec<_> = (0..5).map(new).collect();
            for (what, place, bytes) in steps {
                let before = whole.used();
                let done = match what {
                    0 => permits[place].take(bytes),
                    1 => permits[place].take_growing(bytes),
                    2 => permits[place].resize(bytes),
                    _ => {
                        permits[place] = new(place);
                        true
                    }
                };
                prop_assert!(done || whole.used() == before);
                prop_assert!(whole.used() <= 100 && part.used() <= 30);
            }
            drop(permits);
            prop_assert_eq!((whole.used(), part.used()), (0, 0));
        }
    }
}
