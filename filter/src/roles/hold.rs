//! A response that is held while nothing of it may go out: until its first token, or until it has failed.

use std::rc::Rc;

use weir_event::v1;

use crate::api::Api;
use crate::capture::budget::{Budget, BudgetPermit};
use crate::capture::transcript::Transcript;
use crate::headers::Headers;
use crate::host::Host;
use crate::json::truncate::pieces::{LONG, Pieces};
use crate::response::framing::event::Event;
use crate::response::framing::form::Form;
use crate::response::framing::framer::Framer;
use crate::response::framing::opening::Opening;
use crate::response::parser::ResponseParser;

/// Most bytes of a response that are held.
pub const HELD_MAX: usize = 64 << 10;
/// Longest error name of a provider that is noted on an attempt, in bytes.
const WORD_MAX: usize = 64;
/// Most digits of a number that is noted.
const NUMBER_MAX: usize = 6;
/// What is noted of a response with nothing in it.
pub const EMPTY: &str = "empty_response";
/// What is noted of a response that is none of its API.
const UNREADABLE: &str = "unreadable_response";
/// What is noted of an error that has no name.
const NAMELESS: &str = "error";

/// What becomes of a response that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is held on.
    Held,
    /// It is let go.
    Good,
    /// It has failed before anything of it went out, for this reason.
    Failed(String),
}

/// A response that is held.
#[derive(Debug)]
pub struct Held {
    api: Api,
    form: Form,
    /// Whether its first bytes have shown its form.
    is_settled: bool,
    /// The messages of a stream.
    framer: Option<Framer>,
    /// A response in one piece.
    whole: Pieces,
    parser: ResponseParser,
    /// What was read of it.
    response: v1::Response,
    /// How many bytes of it were read.
    read: usize,
    /// The memory that is reserved for it.
    permit: BudgetPermit,
}

impl Held {
    /// A response with these headers to a call of this API; `None` for one that is not held.
    pub fn new(api: Api, headers: &Headers, memory: &Rc<Budget>) -> Option<Self> {
        let form = Form::of(api, headers);
        let is_open = form.is_open(api, headers);
        (form.is_stream() || is_open).then(|| Self {
            api,
            form,
            is_settled: !is_open,
            framer: Framer::new(form, LONG),
            whole: Pieces::new(HELD_MAX, LONG),
            parser: ResponseParser::new(api, Transcript::counting()),
            response: v1::Response::default(),
            read: 0,
            permit: BudgetPermit::new(memory),
        })
    }

    /// Bytes allocated.
    fn allocated(&self) -> usize {
        let framed = self.framer.as_ref().map_or(0, Framer::allocated);
        size_of::<Self>() + framed + self.whole.allocated() + self.parser.allocated()
    }

    /// `size` bytes of the response are buffered.
    pub fn look(&mut self, host: &impl Host, size: usize, is_end: bool) -> Verdict {
        let fresh = host.response_chunk(self.read, size.saturating_sub(self.read));
        if !self.is_settled {
            match Opening::of(&fresh) {
                Opening::Is(shape) => self.settle(self.form.seen(self.api, shape)),
                Opening::Blank | Opening::Unclear if is_end => {}
                Opening::Blank => self.read = size,
                Opening::Unclear => {}
            }
        }
        if self.is_settled || is_end {
            self.read = size;
            let verdict = self.read(&fresh, is_end);
            if verdict != Verdict::Held {
                return verdict;
            }
        }
        // Without memory it goes out as it is, and is not retried.
        let is_held = size < HELD_MAX && self.permit.resize(self.allocated());
        if is_held { Verdict::Held } else { Verdict::Good }
    }

    fn settle(&mut self, form: Form) {
        (self.form, self.is_settled) = (form, true);
        self.framer = Framer::new(form, LONG);
    }

    fn read(&mut self, fresh: &[u8], is_end: bool) -> Verdict {
        let Self { framer, parser, response, .. } = self;
        let Some(framer) = framer else { return self.read_whole(fresh, is_end) };
        // What comes first counts: a token goes out, also where an error follows it at once.
        let mut verdict = Verdict::Held;
        let on_event = |event: &Event<'_>| {
            let has_token = parser.read_message(event, response);
            if verdict == Verdict::Held {
                verdict = match (has_token, response.error_type.as_str()) {
                    (true, _) => Verdict::Good,
                    (false, "") => Verdict::Held,
                    (false, error) => Verdict::Failed(word(error)),
                };
            }
        };
        framer.read(fresh, is_end, on_event);
        match verdict {
            Verdict::Held if is_end && response.chunks == 0 => Verdict::Failed(EMPTY.to_owned()),
            Verdict::Held if is_end => Verdict::Good,
            verdict => verdict,
        }
    }

    fn read_whole(&mut self, fresh: &[u8], is_end: bool) -> Verdict {
        if self.form != Form::Json && self.is_settled {
            return Verdict::Failed(UNREADABLE.to_owned());
        }
        self.whole.push_body(fresh);
        if !is_end {
            return Verdict::Held;
        }
        if !self.is_settled {
            return Verdict::Failed(EMPTY.to_owned());
        }
        let body = std::mem::take(&mut self.whole).finish();
        let is_read = body.is_some_and(|(body, _)| self.parser.read(&body, &mut self.response));
        match (is_read, self.response.error_type.as_str()) {
            (false, _) => Verdict::Failed(UNREADABLE.to_owned()),
            (true, "") => Verdict::Good,
            (true, error) => Verdict::Failed(word(error)),
        }
    }
}

/// A provider's word for an error where it is one: a name of letters, or a number such as a status. A sentence is
/// none, and neither is what mixes letters with digits or hyphens: some providers repeat the key that they refuse.
pub fn word(error: &str) -> String {
    let is_name = (1..=WORD_MAX).contains(&error.len())
        && error.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'));
    let is_number =
        (1..=NUMBER_MAX).contains(&error.len()) && error.bytes().all(|byte| byte.is_ascii_digit());
    if is_name || is_number { error.to_owned() } else { NAMELESS.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_an_error_and_never_repeats_a_key() {
        for named in ["rate_limit_exceeded", "UNAVAILABLE", "Throttling.RateQuota", "429", "50301"] {
            assert_eq!(word(named), named);
        }
        for other in ["", "sk-canary-of-c-5b0e", "AKIA0123456789ABCDEF", "4111111111111111", "no such key"] {
            assert_eq!(word(other), NAMELESS, "{other}");
        }
    }
}
