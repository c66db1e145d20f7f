//! The plan of one request: which targets it may go to, in which order, and what follows an attempt.
//!
//! Envoy makes the attempts; the plan tells it where each one goes. An attempt that brings no response
//! at all (refused, reset, too late) is followed by what was chosen before it began, since no callback
//! comes then; one that brings a response is followed by what its status asks for. Attempts are bounded
//! by [`ATTEMPTS_MAX`], and a plan that has come to its end never begins another.

use std::rc::Rc;

use crate::config::{Failover, Route};
use crate::response::retry_after::Asked;

/// Most attempts of one request, over all its targets.
pub const ATTEMPTS_MAX: u32 = 16;
/// Longest pause, in seconds, that a retry on the same target waits for; a longer one makes the next target
/// the better choice.
pub const PAUSE_MAX_S: u64 = 2;

/// The targets of a request and how far it has come with them.
#[derive(Debug)]
pub struct Plan {
    routes: Vec<Rc<Route>>,
    failover: Rc<Failover>,
    /// Which target the current attempt is at.
    at: usize,
    /// How many attempts were made at it.
    tries: u32,
    /// How many attempts were made in all.
    made: u32,
    /// Which target the next attempt goes to, if there is to be one.
    next: Option<usize>,
}

impl Plan {
    /// A plan over these targets, the first one first.
    pub fn new(routes: Vec<Rc<Route>>, failover: Rc<Failover>) -> Self {
        let next = (!routes.is_empty()).then_some(0);
        Self { routes, failover, at: 0, tries: 0, made: 0, next }
    }

    /// Where the next attempt goes; `None` where there is to be none.
    pub fn next_route(&self) -> Option<&Rc<Route>> {
        self.routes.get(self.next?)
    }

    /// The place of the current attempt's target, or of the last one's.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many attempts may follow the first one.
    pub fn retries_max(&self) -> u32 {
        let targets = u32::try_from(self.routes.len()).unwrap_or(ATTEMPTS_MAX);
        targets.saturating_mul(self.failover.attempts).min(ATTEMPTS_MAX).saturating_sub(1)
    }

    /// Begins the next attempt and chooses what follows it if it brings no response: the next target, or
    /// the same one where there is none and attempts are left.
    /// Gives the target and its place in the plan.
    pub fn begin(&mut self) -> Option<(usize, Rc<Route>)> {
        let next = self.next.take()?;
        let route = self.routes.get(next).map(Rc::clone)?;
        self.tries = if self.made > 0 && next == self.at { self.tries + 1 } else { 1 };
        self.at = next;
        self.made += 1;
        self.without_response();
        Some((next, route))
    }

    /// Chooses what follows if the attempt brings no response, or none that is the caller's yet: one that
    /// is held until its first token may still be given up.
    pub fn without_response(&mut self) {
        self.next = self.next_target().or_else(|| self.same_target());
    }

    /// Chooses what follows a response with this status, with which so much was asked for; of the request's
    /// time `left_ms` is left, where that is limited. Returns whether another attempt follows; else this
    /// response is the caller's.
    pub fn answered(&mut self, status: u16, asked: Asked, left_ms: Option<u64>) -> bool {
        let pause_s = asked.wait_ms.unwrap_or(0).div_ceil(1000);
        // Envoy adds up to half of a pause to it.
        let ends_in_time = left_ms.is_none_or(|left| pause_s.saturating_mul(1500) <= left);
        let is_worth_it = !asked.refuses && pause_s <= PAUSE_MAX_S && ends_in_time;
        let same = self.same_target().filter(|_| is_worth_it && self.failover.retry_on.contains(&status));
        let other = self.next_target().filter(|_| self.failover.fallback_on.contains(&status));
        self.next = same.or(other);
        self.next.is_some()
    }

    /// Whether the same target may be tried again after a status, if nothing is asked for with it.
    pub fn may_stay(&self, status: u16) -> bool {
        self.same_target().is_some() && self.failover.retry_on.contains(&status)
    }

    /// Whether the next attempt goes to the target that just answered.
    pub fn stays(&self) -> bool {
        self.next == Some(self.at)
    }

    /// Whether a status counts as a failure of its target.
    pub fn is_failure(&self, status: u16) -> bool {
        self.failover.retry_on.contains(&status) || self.failover.fallback_on.contains(&status)
    }

    fn next_target(&self) -> Option<usize> {
        (self.made < ATTEMPTS_MAX && self.at + 1 < self.routes.len()).then_some(self.at + 1)
    }

    fn same_target(&self) -> Option<usize> {
        (self.made < ATTEMPTS_MAX && self.tries < self.failover.attempts).then_some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancing::TargetIds;
    use crate::config::{Config, PluginConfig};

    fn plan(targets: usize, attempts: u32) -> Plan {
        let json = r#"{"providers":{"p":{"api":"openai","url":"http://h"}}}"#;
        let config =
            Config::new(&PluginConfig::from_json(json.as_bytes()).unwrap(), &mut TargetIds::default())
                .unwrap();
        let route = |n: usize| Rc::clone(&config.resolve(&format!("p/{n}")).unwrap().model.routes[0]);
        let failover = Failover { attempts, retry_on: vec![429, 503], fallback_on: vec![401, 503] };
        Plan::new((0..targets).map(route).collect(), Rc::new(failover))
    }

    #[test]
    fn an_answer_that_is_held_for_its_first_token_can_still_be_given_up_for_the_next_target() {
        let mut plan = plan(2, 1);
        plan.begin();
        assert!(!plan.answered(200, Asked::default(), None));
        plan.without_response();
        assert_eq!(plan.begin().map(|(target, _)| target), Some(1));
        assert!(!plan.answered(200, Asked::default(), None) && plan.begin().is_none());
    }

    /// Plays a request whose attempts end with these statuses, 0 for none; gives the targets tried.
    fn play(mut plan: Plan, statuses: &[u16]) -> Vec<usize> {
        let mut tried = Vec::new();
        let mut allowed = plan.retries_max() + 1;
        for status in statuses {
            let Some((target, _)) = plan.begin() else { break };
            assert!(allowed > 0, "Envoy would not have made this attempt");
            allowed -= 1;
            tried.push(target);
            if *status != 0 && !plan.answered(*status, Asked::default(), None) {
                break;
            }
        }
        tried
    }

    #[test]
    fn one_target_is_tried_once_unless_more_is_asked_for() {
        assert_eq!(plan(1, 1).retries_max(), 0);
        assert_eq!(play(plan(1, 1), &[503, 503]), [0]);
        assert_eq!(play(plan(1, 2), &[503, 503, 503]), [0, 0]);
        assert_eq!(play(plan(1, 2), &[0, 0, 0]), [0, 0], "no answer counts as an attempt too");
    }

    #[test]
    fn a_target_is_tried_again_before_the_next_one_is_and_only_where_its_status_asks_for_it() {
        assert_eq!(play(plan(2, 2), &[503, 503, 503, 503, 503]), [0, 0, 1, 1]);
        assert_eq!(play(plan(2, 2), &[401, 401]), [0, 1], "another key may work where this one does not");
        assert_eq!(play(plan(2, 2), &[429, 429, 200]), [0, 0], "429 asks for a retry and for no fallback");
        assert_eq!(play(plan(2, 2), &[400]), [0]);
    }

    #[test]
    fn no_answer_leads_to_the_next_target_at_once() {
        assert_eq!(play(plan(3, 2), &[0, 0, 0, 0, 0]), [0, 1, 2, 2]);
    }

    #[test]
    fn a_long_pause_a_refusal_or_too_little_time_makes_the_next_target_the_better_choice() {
        let wait = |wait_ms| Asked { wait_ms: Some(wait_ms), refuses: false };
        let refusal = Asked { wait_ms: None, refuses: true };
        for (asked, left_ms, stays) in [
            (wait(700), None, true),
            (wait(2000), None, true),
            (wait(2001), None, false),
            (refusal, None, false),
            (wait(700), Some(1500), true),
            (wait(700), Some(1499), false),
            (Asked::default(), Some(0), true),
        ] {
            let mut two = plan(2, 2);
            two.begin();
            assert!(two.answered(503, asked, left_ms));
            assert_eq!(two.stays(), stays, "{asked:?} {left_ms:?}");
            let mut one = plan(1, 2);
            one.begin();
            assert_eq!(one.answered(503, asked, left_ms), stays, "{asked:?} {left_ms:?}");
        }
    }

    #[test]
    fn attempts_are_bounded() {
        assert_eq!(plan(32, 5).retries_max(), ATTEMPTS_MAX - 1);
        assert_eq!(play(plan(32, 5), &[503; 100]).len(), ATTEMPTS_MAX as usize);
    }
}
