//! The search of a long body, slice by slice, while its request is held.

use std::rc::Rc;

use crate::api::Family;
use crate::redact::{ForwardedPolicy, Slice, Sliced};
use crate::redaction::{Redaction, Searched};
use crate::refusal::Refusal;
use crate::routing::decide::EarlySearch;

/// A body that is being searched.
#[derive(Debug)]
pub(crate) struct LongSearch {
    redaction: Rc<Redaction>,
    policy: ForwardedPolicy,
    body: Rc<Vec<u8>>,
    search: Sliced<Result<Searched, Refusal>>,
    begun_ns: u64,
}

/// How far it has come.
#[derive(Debug)]
pub(crate) enum Reached {
    /// There is more to do.
    Underway(LongSearch),
    /// The body, and what came of it.
    Over(Vec<u8>, Box<EarlySearch>),
}

impl LongSearch {
    /// Begins to search a body; `begun_ns` is the time now, in Unix ns.
    pub fn begin(
        begun_ns: u64,
        redaction: &Rc<Redaction>,
        policy: ForwardedPolicy,
        family: &'static Family,
        body: Vec<u8>,
    ) -> Self {
        let body = Rc::new(body);
        let search = redaction.forward_in_slices(policy, family, &body);
        Self { redaction: Rc::clone(redaction), policy, body, search, begun_ns }
    }

    /// Searches on for about so many steps; `now_ns` is asked for the time at the end.
    pub fn go_on(mut self, now_ns: impl FnOnce() -> u64, steps: u64) -> Reached {
        let outcome = match self.search.go_on(steps) {
            Slice::Paused => return Reached::Underway(self),
            Slice::Done(outcome) => outcome,
            // More than any text takes: it is not searched to its end.
            Slice::Exhausted => self.redaction.unreadable(&self.policy).map(|()| Searched::default()),
        };
        let Self { body, search, begun_ns, .. } = self;
        drop(search);
        let body = Rc::try_unwrap(body).unwrap_or_else(|body| body.to_vec());
        Reached::Over(body, Box::new(EarlySearch { outcome, searched_ns: (begun_ns, now_ns()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DEFAULT_FAMILY;
    use crate::balancing::TargetIds;
    use crate::config::{Config, PluginConfig};

    /// A search of a body with these settings, which may take so many steps in all.
    fn search(forwarded: &str, steps: u64) -> LongSearch {
        let json = format!(r#"{{"redaction": {{"forwarded": {forwarded}}}}}"#);
        let config =
            Config::new(&PluginConfig::from_json(json.as_bytes()).unwrap(), &mut TargetIds::default());
        let redaction = config.unwrap().redaction.unwrap();
        let (policy, body) = (redaction.policies.forwarded, Rc::new(b"[\"dob 1.2.1980\"]".to_vec()));
        let mut search = redaction.forward_in_slices(policy, DEFAULT_FAMILY, &body);
        search.leave(steps);
        LongSearch { redaction, policy, body, search, begun_ns: 1 }
    }

    fn end(mut search: LongSearch) -> Result<Searched, Refusal> {
        loop {
            match search.go_on(|| 2, 1) {
                Reached::Underway(further) => search = further,
                Reached::Over(body, early) => {
                    assert_eq!(
                        (body.as_slice(), early.searched_ns),
                        (b"[\"dob 1.2.1980\"]".as_slice(), (1, 2))
                    );
                    return early.outcome;
                }
            }
        }
    }

    #[test]
    fn a_search_that_takes_more_steps_than_any_should_ends_as_that_of_an_unreadable_body() {
        let refuse = r#"{"action": "mask"}"#;
        let found = end(search(refuse, u64::MAX)).unwrap();
        assert_eq!(found.body.as_deref(), Some(b"[\"dob [DATE_OF_BIRTH]\"]".as_slice()));
        assert_eq!(end(search(refuse, 10)).unwrap_err().code, "content_unreadable");
        let pass = r#"{"action": "mask", "on_unreadable": "pass"}"#;
        assert_eq!(end(search(pass, 10)).unwrap().body, None);
    }
}
