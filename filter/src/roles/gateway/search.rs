//! From a request's last byte to the decision: a body that is short is searched within the decision, a long one
//! before it, slice by slice, while the proxy holds the request.

use crate::capture::budget::BudgetPermit;
use crate::host::{Host, Step};
use crate::refusal::Refusal;
use crate::roles::gateway::{Gateway, Inference, Progress};
use crate::roles::long_search::{LongSearch, Reached};
use crate::roles::role::Role as _;
use crate::roles::turns::AT_ONCE;
use crate::routing::decide;

impl Gateway {
    /// The whole request is here: decides, unless its body must be searched before and is long.
    pub(super) fn received(&mut self, host: &impl Host) -> Step {
        let Some(Inference { session, .. }) = &self.inference else { return Step::Continue };
        session.exchange.borrow_mut().timing.body_received_ns = host.now_ns();
        let searches = self.config.redaction.as_ref().is_some_and(|redaction| redaction.may_search());
        if self.body_bytes > AT_ONCE && searches {
            self.progress = Progress::Searched;
            return Step::Hold;
        }
        match self.read_body(host) {
            Ok((body, permit)) => self.decide(host, body, permit, None),
            Err(step) => step,
        }
    }

    /// Reads the whole body, with the memory that is reserved to decide on it. The error is the step of a request
    /// for which there is none.
    fn read_body(&mut self, host: &impl Host) -> Result<(Vec<u8>, BudgetPermit), Step> {
        let Some(Inference { session, .. }) = &self.inference else { return Err(Step::Continue) };
        // Not before the body is here: over HTTP/1 most clients read no response while they are sending.
        match session.reserve_body(self.body_bytes) {
            Some(permit) => Ok((host.request_body(self.config.request_body_max), permit)),
            None => Err(self.refuse(host, &Refusal::out_of_memory())),
        }
    }

    /// Begins to search a long body. The error is the step of a request that needs no search, or has no memory.
    fn begin_search(&mut self, host: &impl Host) -> Result<(LongSearch, BudgetPermit), Step> {
        let (body, permit) = self.read_body(host)?;
        let found = self.inference.as_ref().zip(self.config.redaction.as_ref()).and_then(|it| {
            let (inference, redaction) = it;
            let exchange = inference.session.exchange.borrow();
            let clock = || host.now_ns();
            let received_ns = exchange.timing.body_received_ns;
            let question = self.question((received_ns, &clock), inference, &exchange.caller, &body);
            let policy = decide::search_needed(&question)?;
            Some((redaction, policy, inference.session.call.api.family()))
        });
        match found {
            Some((redaction, policy, family)) => {
                Ok((LongSearch::begin(host.now_ns(), redaction, policy, family, body), permit))
            }
            None => Err(self.decide(host, body, permit, None)),
        }
    }

    /// The request goes nowhere any more.
    pub(super) fn give_up_search(&mut self) {
        if self.long_work().is_some() {
            (self.progress, self.search) = (Progress::Arriving, None);
        }
    }

    /// Searches on for about so many steps; returns the request's step once it is decided.
    pub(super) fn continue_search(&mut self, host: &impl Host, steps: u64) -> Option<Step> {
        let (search, permit) = match self.search.take() {
            _ if self.long_work().is_none() => return None,
            Some(begun) => begun,
            None => match self.begin_search(host) {
                Ok(begun) => begun,
                Err(step) => return Some(step),
            },
        };
        match search.go_on(|| host.now_ns(), steps) {
            Reached::Underway(search) => {
                self.search = Some((search, permit));
                None
            }
            Reached::Over(body, early) => Some(self.decide(host, body, permit, Some(*early))),
        }
    }
}
