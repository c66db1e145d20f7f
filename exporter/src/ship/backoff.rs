//! Exponential backoff with jitter, so that exporters that failed together do not come back together.
//!
//! Randomness is handed in.

use std::time::Duration;

use crate::destination::RetrySettings;

/// Doubling the shortest pause this often passes any longest.
const MAX_DOUBLINGS: u32 = 30;

/// Pauses that double from the first to the longest, each between half of its length and the whole.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    settings: RetrySettings,
    failures: u32,
}

impl Backoff {
    /// Before the first failure.
    pub fn new(settings: RetrySettings) -> Self {
        Self { settings, failures: 0 }
    }

    /// The next pause.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let RetrySettings { first, longest, .. } = self.settings;
        let most = first.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(longest);
        self.failures = self.failures.saturating_add(1);
        most.mul_f64(0.5 + rng.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(30);

    fn backoff() -> Backoff {
        Backoff::new(RetrySettings { first: FIRST, longest: LONGEST, slow: LONGEST })
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_never_vanish() {
        let (mut backoff, mut rng) = (backoff(), fastrand::Rng::with_seed(7));
        let mut most = FIRST;
        for _ in 0..100 {
            let pause = backoff.next(&mut rng);
            assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
            most = (most * 2).min(LONGEST);
        }
        assert_eq!(most, LONGEST);
    }

    #[test]
    fn two_that_failed_together_do_not_come_back_together() {
        let pauses = |seed| backoff().next(&mut fastrand::Rng::with_seed(seed));
        assert_ne!(pauses(1), pauses(2));
    }
}
