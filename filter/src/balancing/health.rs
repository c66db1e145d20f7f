//! Health of targets: those that failed recently are tried last.
//!
//! Nothing is probed and no timer runs. A target is unhealthy while enough of its failures lie within the
//! window, and is tried again once they have left it. One success clears them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use weir_settings::{ConfigError, Duration};

use crate::balancing::target::{TargetId, is_within, slot_mut, slot_ref};

/// Most failures remembered for one target, and thus the highest setting.
pub const FAILURES_MAX: usize = 16;
/// The longest window.
const WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);

/// When a target counts as unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Consecutive failures that make a target unhealthy: 1 to 16. Default: 2.
    pub failures: u32,
    /// The window for these failures, after which the target is tried again: up to `24h`. Default: `2m`.
    pub within: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { failures: 2, within: Duration::from_secs(120) }
    }
}

impl HealthSettings {
    /// Checks the settings at `path`.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        if !(1..=FAILURES_MAX).contains(&(self.failures as usize)) {
            let message = format!("{} failures; give 1 to {FAILURES_MAX}", self.failures);
            return Err(ConfigError::at(format!("{path}.failures"), message));
        }
        if self.within == Duration::default() || self.within > WITHIN_MAX {
            let message = format!("{} is not a window; give 1ms to {WITHIN_MAX}", self.within);
            return Err(ConfigError::at(format!("{path}.within"), message));
        }
        Ok(())
    }
}

/// The failures of each target since its last success.
#[derive(Debug, Default)]
pub struct Health {
    /// Unix times in nanoseconds, the newest first. Most targets have none, and take no memory.
    failures: Vec<VecDeque<u64>>,
}

impl Health {
    /// Records a failure of the target, rather than of the request.
    pub fn failed(&mut self, target: TargetId, now_ns: u64) {
        let Some(failures) = slot_mut(&mut self.failures, target) else { return };
        failures.truncate(FAILURES_MAX - 1);
        failures.push_front(now_ns);
    }

    /// Records a success: the target is healthy again at once.
    pub fn succeeded(&mut self, target: TargetId) {
        if let Some(slot) = target.slot()
            && let Some(failures) = self.failures.get_mut(slot)
        {
            failures.clear();
        }
    }

    /// Whether fewer than `settings.failures` failures since the last success lie within the window.
    pub fn is_healthy(&self, target: TargetId, settings: &HealthSettings, now_ns: u64) -> bool {
        let Some(decisive) = (settings.failures as usize).checked_sub(1) else { return true };
        let failures = slot_ref(&self.failures, target);
        // The newest come first, so if this one is within the window, so are those before it.
        let Some(then) = failures.and_then(|failures| failures.get(decisive)) else { return true };
        !is_within(*then, settings.within.as_ns(), now_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::balancing::TargetIds;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn two_failures_within_two_minutes_make_a_target_unhealthy_until_the_window_has_passed() {
        let (mut health, settings) = (Health::default(), HealthSettings::default());
        let target = TargetIds::default().id("p/m");
        let start = 1_000_000 * SECOND;
        assert!(health.is_healthy(target, &settings, start));
        health.failed(target, start);
        assert!(health.is_healthy(target, &settings, start));
        health.failed(target, start + 60 * SECOND);
        assert!(!health.is_healthy(target, &settings, start + 60 * SECOND));
        assert!(!health.is_healthy(target, &settings, start + 120 * SECOND - 1));
        assert!(health.is_healthy(target, &settings, start + 120 * SECOND));
        // It is tried again, and one more failure within the window is enough.
        health.failed(target, start + 121 * SECOND);
        assert!(!health.is_healthy(target, &settings, start + 121 * SECOND));
    }

    #[test]
    fn failures_further_apart_than_the_window_do_no_harm() {
        let (mut health, settings) = (Health::default(), HealthSettings::default());
        let target = TargetIds::default().id("p/m");
        for n in 0..100 {
            health.failed(target, n * 120 * SECOND);
            assert!(health.is_healthy(target, &settings, n * 120 * SECOND));
        }
    }

    #[test]
    fn a_success_makes_a_target_healthy_at_once_and_touches_no_other() {
        let (mut health, settings, mut ids) =
            (Health::default(), HealthSettings::default(), TargetIds::default());
        let (a, b) = (ids.id("p/a"), ids.id("p/b"));
        for target in [a, b, a, b] {
            health.failed(target, SECOND);
        }
        health.succeeded(a);
        assert!(health.is_healthy(a, &settings, 2 * SECOND));
        assert!(!health.is_healthy(b, &settings, 2 * SECOND));
        health.failed(a, 3 * SECOND);
        assert!(health.is_healthy(a, &settings, 3 * SECOND), "the count begins anew");
    }

    #[test]
    fn models_that_share_a_target_judge_it_by_their_own_settings() {
        let mut health = Health::default();
        let target = TargetIds::default().id("p/m");
        let strict = HealthSettings { failures: 1, ..Default::default() };
        let patient = HealthSettings { failures: 16, ..Default::default() };
        for n in 1..=16 {
            assert_eq!(health.is_healthy(target, &strict, SECOND), n == 1);
            assert!(health.is_healthy(target, &patient, SECOND));
            health.failed(target, SECOND);
        }
        assert!(!health.is_healthy(target, &patient, SECOND));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_field() {
        let check = |json: &str| {
            let settings: HealthSettings = serde_json::from_str(json).unwrap();
            settings.check("models.m.health").map_err(|error| error.to_string())
        };
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"failures":16,"within":"24h"}"#), Ok(()));
        for (json, message) in [
            (r#"{"failures":0}"#, "models.m.health.failures: 0 failures; give 1 to 16"),
            (r#"{"failures":17}"#, "models.m.health.failures: 17 failures; give 1 to 16"),
            (r#"{"within":"0s"}"#, "models.m.health.within: 0ms is not a window; give 1ms to 24h"),
            (r#"{"within":"25h"}"#, "models.m.health.within: 25h is not a window; give 1ms to 24h"),
        ] {
            assert_eq!(check(json), Err(message.to_owned()));
        }
        assert!(serde_json::from_str::<HealthSettings>(r#"{"failure":1}"#).is_err());
    }

    proptest! {
        #[test]
        fn health_is_the_count_of_failures_since_the_last_success_within_the_window(
            steps in prop::collection::vec((prop::option::weighted(0.9, Just(())), 0..60u64), 0..60),
            failures in 1..=16u32,
        ) {
            let settings = HealthSettings { failures, ..Default::default() };
            let target = TargetIds::default().id("p/m");
            let (mut health, mut model, mut now) = (Health::default(), Vec::new(), 0);
            for (failed, pause) in steps {
                now += pause * SECOND;
                if failed.is_some() {
                    health.failed(target, now);
                    model.push(now);
                } else {
                    health.succeeded(target);
                    model.clear();
                }
                let recent = model.iter().filter(|then| now - **then < 120 * SECOND).count();
                prop_assert_eq!(health.is_healthy(target, &settings, now), recent < failures as usize);
                prop_assert!(health.failures.iter().all(|failures| failures.len() <= FAILURES_MAX));
            }
        }
    }
}
