//! The memory budget for captured content in one VM, shared by all requests in progress.
//!
//! A permit returns its bytes when it is dropped, so none are lost.

use std::cell::Cell;
use std::rc::Rc;

/// The budget of one VM, in bytes.
#[derive(Debug, Default)]
pub struct Budget {
    max: Cell<usize>,
    used: Cell<usize>,
}

impl Budget {
    /// Sets the limit. Bytes already reserved stay reserved.
    pub fn set(&self, max: usize) {
        self.max.set(max);
    }

    /// Bytes reserved.
    pub fn used(&self) -> usize {
        self.used.get()
    }
}

/// Bytes reserved by one holder.
#[derive(Debug)]
pub struct BudgetPermit {
    budget: Rc<Budget>,
    held: usize,
}

impl BudgetPermit {
    /// Creates a permit for no bytes yet.
    pub fn new(budget: &Rc<Budget>) -> Self {
        Self { budget: Rc::clone(budget), held: 0 }
    }

    /// Reserves more bytes; returns `false`, reserving none, if the budget does not allow it.
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
