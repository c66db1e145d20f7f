//! Waiting for a condition.
//!
//! The deadline is there so that a broken test ends, not to measure anything: it is far above what
//! a slow machine needs.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

/// The deadline for whatever should happen soon.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
pub const INTERVAL: Duration = Duration::from_millis(20);

/// Calls `look` until it gives a value, and gives that; `None` once the deadline has passed.
pub async fn poll<T, F>(deadline: Duration, mut look: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = look().await {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until `look` is true.
#[allow(clippy::panic, reason = "a failed wait is a failed test")]
pub async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let seen = poll(DEADLINE, || std::future::ready(look().then_some(()))).await;
    assert!(seen.is_some(), "waited {DEADLINE:?} in vain for {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        until("five looks", || {
            looks += 1;
            looks == 5
        })
        .await;
        assert_eq!(looks, 5);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "in vain for rain")]
    async fn a_condition_that_never_comes_true_fails_by_name() {
        until("rain", || false).await;
    }
}
