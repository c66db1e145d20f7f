//! The search of a whole body that is held: at once where it is short, slice by slice where it is long.

use crate::capture::budget::BudgetPermit;
use crate::host::{Host, Step};
use crate::json::scan::Object;
use crate::redact::Restorer;
use crate::refusal::Refusal;
use crate::roles::long_search::{LongSearch, Reached};
use crate::roles::observer::{Observation, Observer, RequestReading};
use crate::roles::role::Role as _;
use crate::roles::turns::AT_ONCE;
use crate::routing::decide::EarlySearch;

impl Observer {
    /// The whole body is here: searches it, slice by slice where it is long.
    pub(super) fn search(&mut self, host: &impl Host, size: usize) -> Step {
        let Some((observed, redaction)) = self.observed.as_ref().zip(self.config.redaction.as_ref()) else {
            return Step::Continue;
        };
        if size > AT_ONCE {
            self.request = RequestReading::Searched(size);
            return Step::Hold;
        }
        let Some(permit) = observed.session.reserve_body(size) else {
            return self.refuse(host, &Refusal::out_of_memory());
        };
        let body = host.request_body(self.config.request_body_max);
        let object = Object::parse(&body).ok();
        let begun_ns = host.now_ns();
        let (policy, family) = (&observed.policies.forwarded, observed.session.call.api.family());
        let outcome = redaction.forward(policy, family, &body, object.as_ref());
        let early = EarlySearch { outcome, searched_ns: (begun_ns, host.now_ns()) };
        self.searched(host, &body, object.as_ref(), early, permit)
    }

    /// The body was searched: lets it go.
    fn searched(
        &mut self,
        host: &impl Host,
        body: &[u8],
        members: Option<&Object<'_>>,
        early: EarlySearch,
        mut permit: BudgetPermit,
    ) -> Step {
        let Some(Observation { session, .. }) = &self.observed else { return Step::Continue };
        self.request = RequestReading::Known;
        let mut exchange = session.exchange.borrow_mut();
        exchange.request.body_bytes = body.len() as u64;
        (exchange.timing.redacting_ns, exchange.timing.redacted_ns) = early.searched_ns;
        let searched = match early.outcome {
            Ok(searched) => searched,
            Err(refusal) => {
                drop(exchange);
                self.record_request(body, members, false, None);
                return self.refuse(host, &refusal);
            }
        };
        exchange.redactions = searched.found;
        drop(exchange);
        // What the search needed is free again; values to restore stay.
        permit.resize(body.len() + searched.body.as_ref().map_or(0, Vec::capacity));
        if !session.reserve(searched.restorer.as_ref().map_or(0, Restorer::allocated)) {
            return self.refuse(host, &Refusal::out_of_memory());
        }
        if let Some(instead) = &searched.body {
            host.replace_request_start(body.len(), instead);
        }
        self.record_request(body, members, false, searched.restorer);
        Step::Continue
    }

    /// Searches on for about so many steps; returns the request's step once its body was searched.
    pub(super) fn continue_search(&mut self, host: &impl Host, steps: u64) -> Option<Step> {
        let size = self.long_work()?;
        let (observed, redaction) = self.observed.as_ref().zip(self.config.redaction.as_ref())?;
        let (search, permit) = match self.search.take() {
            Some(begun) => begun,
            None => {
                let Some(permit) = observed.session.reserve_body(size) else {
                    return Some(self.refuse(host, &Refusal::out_of_memory()));
                };
                let body = host.request_body(self.config.request_body_max);
                let (policy, family) = (observed.policies.forwarded, observed.session.call.api.family());
                (LongSearch::begin(host.now_ns(), redaction, policy, family, body), permit)
            }
        };
        match search.go_on(|| host.now_ns(), steps) {
            Reached::Underway(search) => {
                self.search = Some((search, permit));
                None
            }
            Reached::Over(body, early) => {
                Some(self.searched(host, &body, Object::parse(&body).ok().as_ref(), *early, permit))
            }
        }
    }
}
