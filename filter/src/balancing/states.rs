//! What this VM has seen of its targets.

use crate::balancing::health::Health;
use crate::balancing::latency::Latency;

/// What this VM has seen of its targets. A target that was never heard of takes no memory.
#[derive(Debug, Default)]
pub struct TargetStates {
    /// Which targets have failed lately.
    pub health: Health,
    /// How fast they are.
    pub latency: Latency,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancing::health::HealthSettings;
    use crate::balancing::target::TargetId;

    #[test]
    fn beyond_the_cap_targets_have_no_state_and_take_no_memory() {
        let mut states = TargetStates::default();
        states.health.failed(TargetId::UNTRACKED, 1);
        states.latency.record(TargetId::UNTRACKED, 1, 1);
        assert!(states.health.is_healthy(
            TargetId::UNTRACKED,
            &HealthSettings { failures: 1, ..Default::default() },
            1
        ));
        assert_eq!(states.latency.estimate(TargetId::UNTRACKED, 1), None);
    }
}
