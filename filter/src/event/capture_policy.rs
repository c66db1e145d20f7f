//! The capture policy as a worker knows it: what the exporter says may be exported of requests, beside what the
//! configuration says. The stricter of both holds.
//!
//! Every response of the exporter says what holds now; a worker that gets none asks by itself. While it does not
//! know, nothing is sent, so that nothing leaves which may not: for five seconds at most, after which what it
//! knew last, or else the configuration alone, holds. No clock, no network: they come in as arguments.

use std::time::Duration;

use prost::Message;
use weir_event::v1;

use crate::event::outbox::CallOutcome;

/// How long after the exporter has last said what holds it is asked: with the tick that finds out, and the way there
/// and back, that is within a second.
const ASK_AFTER: Duration = Duration::from_millis(600);
/// How long its word holds without being said again.
const HOLDS: Duration = Duration::from_secs(2);
/// How long events wait for its word.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a response may take.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Of a batch's response, what is said of the policy.
#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(message, optional, tag = "4")]
    policy: Option<v1::CapturePolicy>,
}

/// What a worker knows of the policy.
#[derive(Debug, Default)]
pub struct Policy {
    revision: u64,
    excludes: bool,
    /// When the exporter has last said what holds.
    heard_ns: Option<u64>,
    /// When it was asked last, and by which call, while that is not answered.
    asked: Option<(u64, Option<u32>)>,
    /// Since when events wait for its word.
    waiting_ns: Option<u64>,
}

impl Policy {
    /// Whether no content may be exported.
    pub fn excludes(&self) -> bool {
        self.excludes
    }

    /// Whether the exporter is to be asked now.
    pub fn is_to_ask(&self, now_ns: u64) -> bool {
        let asked = self.asked.map_or(0, |(at, _)| at);
        let is_waiting = self.asked.is_some_and(|(_, call)| call.is_some());
        if is_waiting && !passed(ASK_TIMEOUT, asked, now_ns) {
            return false;
        }
        passed(ASK_AFTER, asked.max(self.heard_ns.unwrap_or(0)), now_ns)
    }

    /// It was asked, by this call where one could be made.
    pub fn asked(&mut self, call: Option<u32>, now_ns: u64) {
        self.asked = Some((now_ns, call));
    }

    /// Takes a response of the exporter, whatever it was asked; gives whether it is the one to our question.
    pub fn answered(&mut self, call: u32, outcome: &CallOutcome, now_ns: u64) -> bool {
        if let CallOutcome::Status { status, body, .. } = outcome {
            self.hear(*status, body, now_ns);
        }
        match &mut self.asked {
            Some((_, ours)) if *ours == Some(call) => {
                *ours = None;
                true
            }
            _ => false,
        }
    }

    fn hear(&mut self, status: u16, body: &[u8], now_ns: u64) {
        let said = match status {
            200..=299 | 503 => Said::decode(body).ok().and_then(|said| said.policy),
            _ => None,
        };
        match said {
            Some(policy) => {
                if policy.revision >= self.revision {
                    self.revision = policy.revision;
                    // A rule that is not known is one that is younger than this filter: the stricter holds.
                    self.excludes = !matches!(
                        v1::CaptureRule::try_from(policy.content),
                        Ok(v1::CaptureRule::Keep | v1::CaptureRule::Unspecified)
                    );
                }
            }
            // An exporter that knows of no policy.
            None if matches!(status, 200..=299 | 404 | 405) => {}
            None => return,
        }
        self.heard_ns = Some(now_ns);
        self.waiting_ns = None;
    }

    /// Whether events may be sent, of which there are some.
    pub fn may_send(&mut self, now_ns: u64) -> bool {
        if self.heard_ns.is_some_and(|at| !passed(HOLDS, at, now_ns)) {
            return true;
        }
        passed(PATIENCE, *self.waiting_ns.get_or_insert(now_ns), now_ns)
    }
}

/// Whether so much time has passed since then.
fn passed(time: Duration, since_ns: u64, now_ns: u64) -> bool {
    u128::from(now_ns.saturating_sub(since_ns)) >= time.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const START: u64 = 1_000_000 * S;

    fn answer(status: u16, policy: Option<(u64, i32)>) -> CallOutcome {
        let policy = policy.map(|(revision, content)| v1::CapturePolicy { revision, content });
        let body = v1::BatchAnswer { stored: vec![1, 2, 3], policy, ..Default::default() }.encode_to_vec();
        CallOutcome::Status { status, retry_after: None, body }
    }

    const KEEP: i32 = v1::CaptureRule::Keep as i32;
    const EXCLUDE: i32 = v1::CaptureRule::Exclude as i32;

    #[test]
    fn every_answer_says_what_holds_and_an_older_one_is_ignored() {
        let mut policy = Policy::default();
        assert!(!policy.excludes());
        assert!(!policy.answered(7, &answer(200, Some((5, EXCLUDE))), START), "it is a batch's");
        assert!(policy.excludes());
        policy.answered(8, &answer(200, Some((4, KEEP))), START);
        assert!(policy.excludes(), "older");
        policy.answered(9, &answer(503, Some((6, KEEP))), START);
        assert!(!policy.excludes());
        policy.answered(9, &answer(200, Some((7, 99))), START);
        assert!(policy.excludes(), "a rule that is not known is the stricter");
    }

    #[test]
    fn a_fresh_worker_sends_nothing_until_it_knows_or_five_seconds_have_passed() {
        let mut policy = Policy::default();
        assert!(!policy.may_send(START));
        assert!(!policy.may_send(START + 4 * S));
        assert!(policy.may_send(START + 5 * S));
        let mut policy = Policy::default();
        assert!(!policy.may_send(START));
        policy.answered(1, &answer(200, Some((1, KEEP))), START + S);
        assert!(policy.may_send(START + S));
    }

    #[test]
    fn what_was_known_must_be_said_again() {
        let mut policy = Policy::default();
        policy.answered(1, &answer(200, Some((1, KEEP))), START);
        assert!(policy.may_send(START + S));
        assert!(!policy.may_send(START + 60 * S), "meanwhile it may be another");
        policy.answered(2, &CallOutcome::Failed, START + 61 * S);
        policy.answered(2, &answer(503, None), START + 61 * S);
        assert!(!policy.may_send(START + 62 * S));
        assert!(policy.may_send(START + 65 * S), "and yet events do not wait for ever");
        policy.answered(3, &answer(200, Some((2, EXCLUDE))), START + 66 * S);
        assert!(policy.may_send(START + 67 * S) && policy.excludes());
    }

    #[test]
    fn an_idle_worker_asks_before_a_second_has_passed_and_a_busy_one_need_not() {
        let mut policy = Policy::default();
        assert!(policy.is_to_ask(START));
        policy.asked(Some(4), START);
        assert!(!policy.is_to_ask(START + S), "the answer is under way");
        assert!(policy.answered(4, &answer(200, Some((1, KEEP))), START + S));
        assert!(!policy.is_to_ask(START + S + S / 2));
        assert!(policy.is_to_ask(START + S + S * 6 / 10));
        policy.answered(5, &answer(200, Some((1, KEEP))), START + 2 * S);
        assert!(!policy.is_to_ask(START + 2 * S + S / 2), "a batch's answer has just said it");
        // A question that is never answered, or could not be asked, is not the last one.
        policy.asked(Some(6), START + 3 * S);
        assert!(policy.is_to_ask(START + 5 * S));
        policy.asked(None, START + 6 * S);
        assert!(policy.is_to_ask(START + 7 * S));
    }

    #[test]
    fn an_exporter_without_a_policy_changes_nothing() {
        for status in [200, 404, 405] {
            let mut policy = Policy::default();
            policy.asked(Some(1), START);
            assert!(policy.answered(1, &answer(status, None), START));
            assert!(policy.may_send(START) && !policy.excludes());
        }
        let mut policy = Policy::default();
        let text =
            CallOutcome::Status { status: 503, retry_after: None, body: b"no healthy upstream".to_vec() };
        policy.answered(1, &text, START);
        assert!(!policy.may_send(START));
    }
}
