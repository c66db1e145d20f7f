//! Exponential backoff with jitter, so that exporters that failed together do not come back together.
//!
//! Randomness is handed in.

use std::time::Duration;

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// Doubling it this often passes the longest pause.
const MAX_DOUBLINGS: u32 = 8;

/// Pauses that double from 0.2 s to 30 s, each between half of its length and the whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let most = FIRST.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        most.mul_f64(0.5 + rng.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_never_vanish() {
        let (mut backoff, mut rng) = (Backoff::default(), fastrand::Rng::with_seed(7));
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
        let pauses = |seed| Backoff::default().next(&mut fastrand::Rng::with_seed(seed));
        assert_ne!(pauses(1), pauses(2));
    }
}
