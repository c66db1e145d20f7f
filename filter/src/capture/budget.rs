//! BudgetPermit for content in one VM: what all requests under way may hold together.
//!
//! BudgetPermit that was taken is given back when its holder is dropped, so none can be lost.

use std::cell::Cell;
use std::rc::Rc;

/// The room of one VM, in bytes.
#[derive(Debug, Default)]
pub struct Budget {
    max: Cell<usize>,
    used: Cell<usize>,
}

impl Budget {
    /// Sets how much there is. What is taken stays taken.
    pub fn set(&self, max: usize) {
        self.max.set(max);
    }

    /// How much is taken.
    pub fn used(&self) -> usize {
        self.used.get()
    }
}

/// A part of the room that is taken.
#[derive(Debug)]
pub struct BudgetPermit {
    budget: Rc<Budget>,
    held: usize,
}

impl BudgetPermit {
    /// None of it yet.
    pub fn new(budget: &Rc<Budget>) -> Self {
        Self { budget: Rc::clone(budget), held: 0 }
    }

    /// Takes so many bytes more, if there are as many.
    pub fn take(&mut self, bytes: usize) -> bool {
        let used = self.budget.used.get().saturating_add(bytes);
        if used > self.budget.max.get() {
            return false;
        }
        self.budget.used.set(used);
        self.held += bytes;
        true
    }
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        self.budget.used.set(self.budget.used.get().saturating_sub(self.held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_limited_over_all_and_given_back() {
        let budget = Rc::new(Budget::default());
        budget.set(10);
        let (mut one, mut other) = (BudgetPermit::new(&budget), BudgetPermit::new(&budget));
        assert!(one.take(6) && !other.take(5) && other.take(4) && !one.take(1));
        drop(one);
        assert!(other.take(6) && budget.used() == 10);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
