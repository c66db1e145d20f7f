//! Targets by number, and dense tables of their state.

use std::collections::HashMap;

/// Most targets with state in one VM, over all configurations it has loaded. Further ones are
/// [`TargetId::UNTRACKED`].
pub const TARGETS_MAX: usize = 65_536;

/// A target's number in this VM: the index of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetId(u32);

impl TargetId {
    /// A target without state: always healthy, of unknown latency.
    pub const UNTRACKED: Self = Self(u32::MAX);

    /// The index of the target's state, if it has one.
    pub(super) fn slot(self) -> Option<usize> {
        usize::try_from(self.0).ok().filter(|slot| *slot < TARGETS_MAX)
    }
}

/// Assigns numbers to targets by their stable names. A name keeps its number for the life of the VM and a
/// number is never reused, so neither a reload nor a request decided before it can mix the states of two
/// targets.
#[derive(Debug, Default)]
pub struct TargetIds {
    ids: HashMap<Box<str>, TargetId>,
}

impl TargetIds {
    /// Returns the number of the target `provider/model`. Called when a configuration is loaded, never with a
    /// caller's name, since callers could use up the numbers.
    pub fn id(&mut self, key: &str) -> TargetId {
        if let Some(id) = self.ids.get(key) {
            return *id;
        }
        let id = match u32::try_from(self.ids.len()) {
            Ok(next) if self.ids.len() < TARGETS_MAX => TargetId(next),
            _ => return TargetId::UNTRACKED,
        };
        self.ids.insert(key.into(), id);
        id
    }
}

/// Returns a target's state in a dense table, creating it if needed.
pub(super) fn slot_mut<T: Default>(table: &mut Vec<T>, target: TargetId) -> Option<&mut T> {
    let slot = target.slot()?;
    if table.len() <= slot {
        table.resize_with(slot + 1, T::default);
    }
    table.get_mut(slot)
}

/// Returns a target's state in a dense table, if it has one.
pub(super) fn slot_ref<T>(table: &[T], target: TargetId) -> Option<&T> {
    table.get(target.slot()?)
}

/// Whether `then` is less than `span_ns` ago. A time in the future is not: a clock that was set back must not
/// keep a state alive forever.
pub(super) fn is_within(then: u64, span_ns: u64, now_ns: u64) -> bool {
    now_ns.checked_sub(then).is_some_and(|age| age < span_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_a_number_its_name() {
        let mut ids = TargetIds::default();
        let a = ids.id("openai/gpt-4o");
        let b = ids.id("azure/gpt-4o");
        assert_ne!(a, b);
        // A reload that leaves the first out and adds another.
        let c = ids.id("vllm/llama");
        assert!(c != a && c != b);
        assert_eq!((ids.id("azure/gpt-4o"), ids.id("openai/gpt-4o")), (b, a));
    }

    #[test]
    fn beyond_the_cap_targets_have_no_state_and_take_no_memory() {
        let mut ids = TargetIds::default();
        for n in 0..TARGETS_MAX {
            assert_ne!(ids.id(&format!("p/{n}")), TargetId::UNTRACKED);
        }
        assert_eq!(ids.id("p/one-too-many"), TargetId::UNTRACKED);
        assert_ne!(ids.id("p/7"), TargetId::UNTRACKED);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nothing_alive() {
        assert!(is_within(10, 5, 10) && is_within(10, 5, 14));
        assert!(!is_within(10, 5, 15) && !is_within(10, 5, 9));
    }
}
