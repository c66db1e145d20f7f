//! How fast targets answer, in time per output token, over a sliding window.
//!
//! A target whose samples are too few or too old has no estimate. It must be tried to get one, but
//! not by everybody at once: [`Latency::probe`] lets a few requests through in a while.

use std::collections::VecDeque;

use crate::balancing::target::{TargetId, is_within, slot_mut, slot_ref};

/// How long a sample counts, in nanoseconds: ten minutes.
pub const WINDOW_NS: u64 = 600 * 1_000_000_000;
/// Most samples that are kept of one target. See [`Latency::estimate`] for why so few.
pub const SAMPLES_MAX: usize = 15;
/// Fewest samples that make an estimate; also the most probes in one [`PROBE_WAIT_NS`].
pub const SAMPLES_MIN: usize = 3;
/// How long the outcome of probes is awaited before more are let through, in nanoseconds.
pub const PROBE_WAIT_NS: u64 = 30 * 1_000_000_000;

/// The samples of each target.
#[derive(Debug, Default)]
pub struct Latency {
    targets: Vec<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    /// When each was taken (Unix nanoseconds) and its nanoseconds per token, the oldest first.
    ring: VecDeque<(u64, u64)>,
    probing_since_ns: u64,
    probes: usize,
}

impl Latency {
    /// A request to the target has ended, and took so many nanoseconds for each output token.
    pub fn record(&mut self, target: TargetId, ns_per_token: u64, now_ns: u64) {
        let Some(Samples { ring, .. }) = slot_mut(&mut self.targets, target) else { return };
        while ring.len() >= SAMPLES_MAX {
            ring.pop_front();
        }
        ring.push_back((now_ns, ns_per_token));
    }

    /// Nanoseconds per output token, or `None` where fewer than [`SAMPLES_MIN`] samples lie within
    /// the window.
    ///
    /// It is the median of the newest samples. A median, since one response that got stuck would pull
    /// a mean, however decayed, for as long as it counts. Of few, since a change shows once half of
    /// them are new, and a target that recovers gets its new samples from exploration alone.
    pub fn estimate(&self, target: TargetId, now_ns: u64) -> Option<u64> {
        let ring = &slot_ref(&self.targets, target)?.ring;
        let mut recent = [0; SAMPLES_MAX];
        let mut count = 0;
        let within = ring.iter().filter(|(then, _)| is_within(*then, WINDOW_NS, now_ns));
        for (place, (_, ns)) in recent.iter_mut().zip(within) {
            *place = *ns;
            count += 1;
        }
        let recent = recent.get_mut(..count).filter(|recent| recent.len() >= SAMPLES_MIN)?;
        recent.sort_unstable();
        recent.get(count / 2).copied()
    }

    /// Whether one more request may be sent to find out how fast a target without an estimate is.
    pub fn may_probe(&self, target: TargetId, now_ns: u64) -> bool {
        let Some(samples) = slot_ref(&self.targets, target) else { return target.slot().is_some() };
        samples.probes < SAMPLES_MIN || !is_within(samples.probing_since_ns, PROBE_WAIT_NS, now_ns)
    }

    /// Such a request was sent.
    pub fn probe(&mut self, target: TargetId, now_ns: u64) {
        let Some(samples) = slot_mut(&mut self.targets, target) else { return };
        if !is_within(samples.probing_since_ns, PROBE_WAIT_NS, now_ns) {
            (samples.probing_since_ns, samples.probes) = (now_ns, 0);
        }
        samples.probes += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::balancing::TargetIds;

    const START: u64 = 1_000_000_000_000_000;

    fn after(samples: &[u64]) -> (Latency, TargetId) {
        let (mut latency, target) = (Latency::default(), TargetIds::default().id("p/m"));
        for sample in samples {
            latency.record(target, *sample, START);
        }
        (latency, target)
    }

    #[test]
    fn an_estimate_needs_three_samples_within_ten_minutes() {
        let (mut latency, target) = after(&[10, 20]);
        assert_eq!(latency.estimate(target, START), None);
        latency.record(target, 30, START + 1);
        assert_eq!(latency.estimate(target, START + WINDOW_NS - 1), Some(20));
        assert_eq!(latency.estimate(target, START + WINDOW_NS), None);
    }

    #[test]
    fn one_outlier_moves_nothing() {
        let (latency, target) = after(&[10, 10, u64::MAX, 10]);
        assert_eq!(latency.estimate(target, START), Some(10));
        let (latency, target) = after(&[10, 10, 0, 10]);
        assert_eq!(latency.estimate(target, START), Some(10));
    }

    #[test]
    fn a_change_shows_once_half_of_the_samples_are_new() {
        let (mut latency, target) = after(&[100; 1000]);
        for n in 1..=8 {
            assert_eq!(latency.estimate(target, START), Some(100), "{n}");
            latency.record(target, 10, START);
        }
        assert_eq!(latency.estimate(target, START), Some(10));
    }

    #[test]
    fn a_few_probes_are_let_through_and_no_more_until_their_outcome_is_overdue() {
        let (mut latency, target) = (Latency::default(), TargetIds::default().id("p/m"));
        for later in [0, PROBE_WAIT_NS, 5 * PROBE_WAIT_NS] {
            for _ in 0..SAMPLES_MIN {
                assert!(latency.may_probe(target, START + later));
                latency.probe(target, START + later);
            }
            assert!(!latency.may_probe(target, START + later));
            assert!(!latency.may_probe(target, START + later + PROBE_WAIT_NS - 1));
        }
        assert!(!latency.may_probe(TargetId::UNTRACKED, START), "it could never get an estimate");
    }

    proptest! {
        #[test]
        fn an_estimate_lies_among_the_samples_and_memory_is_bounded(
            samples in prop::collection::vec((any::<u64>(), 0..WINDOW_NS / 4), 1..100),
        ) {
            let (mut latency, target) = (Latency::default(), TargetIds::default().id("p/m"));
            let mut now = START;
            for (sample, pause) in &samples {
                now += pause;
                latency.record(target, *sample, now);
                prop_assert!(latency.targets[0].ring.len() <= SAMPLES_MAX);
            }
            if let Some(estimate) = latency.estimate(target, now) {
                prop_assert!(samples.iter().any(|(sample, _)| *sample == estimate));
            }
        }
    }
}
