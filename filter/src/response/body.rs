//! The body of a response on its way to the caller: read, and rewritten where something asks for it.
//!
//! The bytes go on without waiting, and unchanged but for what was asked for on the caller's behalf
//! ([`strip_usage`]) and what [`redact`](crate::response::redact) rewrites. A stream is framed once for all
//! of them.

#[cfg(test)]
mod tests;

use weir_event::v1;

use std::rc::Rc;

use crate::api::{Api, Family};
use crate::capture::budget::{Budget, BudgetPermit};
use crate::capture::transcript::Transcript;
use crate::headers::Headers;
use crate::host::{Host, Step};
use crate::json::truncate::pieces::LONG;
use crate::refusal::{OVERLOADED, Refusal};
use crate::response::framing::event::Part;
use crate::response::framing::form::Form;
use crate::response::framing::framer::Framer;
use crate::response::framing::opening::Opening;
use crate::response::framing::strip_usage;
use crate::response::framing::strip_usage::Change;
use crate::response::outgoing;
use crate::response::outgoing::{GatewayHeaders, Length};
use crate::response::reader::{Destination, Read, Reading};
use crate::response::redact::ResponseRedaction;
use crate::response::redact::whole::Outcome;
use crate::response::rewriting::Rewriting;

/// A response's body.
#[derive(Debug, Default)]
pub struct ResponseBody {
    reading: Reading,
    rewriting: Rewriting,
    /// Whether usage is taken out of a stream that the gateway has asked for on the caller's behalf.
    strips_usage: bool,
    /// Cuts a stream.
    framer: Option<Framer>,
    /// Most bytes that are held to be rewritten.
    held_max: usize,
    /// The memory that is reserved for it, beside the content that is captured.
    permit: BudgetPermit,
    /// There was no memory to read on.
    is_given_up: bool,
    /// There was no memory to rewrite it, so that it was ended.
    is_overloaded: bool,
}

/// What becomes of a body that is held until its first bytes show its form.
#[derive(Debug)]
pub enum Settled {
    /// It was known before.
    Before,
    /// It is known now.
    Now,
    /// More has to come.
    NotYet,
    /// This goes out instead.
    Refused(Refusal),
}

impl ResponseBody {
    /// The body of a response with these headers. The refusal goes out instead of one that cannot be
    /// rewritten.
    pub fn new(
        headers: &Headers,
        response_redaction: Option<ResponseRedaction>,
        held_max: usize,
        memory: &Rc<Budget>,
    ) -> Result<Self, Refusal> {
        let rewriting = response_redaction.map_or(Ok(Rewriting::None), |response_redaction| {
            Rewriting::of(response_redaction.within(memory), headers)
        })?;
        Ok(Self { rewriting, held_max, permit: BudgetPermit::new(memory), ..Self::default() })
    }

    /// Reads it as a response to a call of this API.
    #[must_use]
    pub fn read(mut self, headers: &Headers, api: Api, destination: Destination) -> Self {
        let (reading, form) = Reading::of(headers, api, destination);
        self.reading = reading;
        if let Some(form) = form {
            self.frame(form);
        }
        self
    }

    /// Strips usage from it, where it is a stream.
    #[must_use]
    pub fn stripping_usage(self, strips_usage: bool) -> Self {
        Self { strips_usage, ..self }
    }

    /// A refusal in place of the response that came, which has a body and `said` so much.
    pub fn refusal(
        host: &impl Host,
        refusal: &Refusal,
        family: &Family,
        response: &mut v1::Response,
        own: Option<&GatewayHeaders>,
        said: Transcript,
    ) -> Self {
        let body = refusal.body(family);
        outgoing::send_refusal(host, refusal, &body, response, own);
        Self { reading: Reading::Replaced(body, said), ..Self::default() }
    }

    /// Whether it was ended because there was no memory to rewrite it.
    pub fn is_overloaded(&self) -> bool {
        self.is_overloaded
    }

    /// Whether the response is a stream, as far as that is known.
    pub fn is_stream(&self) -> bool {
        self.reading.is_stream()
    }

    /// Whether it is compressed, and so cannot be read.
    pub fn is_compressed(&self) -> bool {
        matches!(self.reading, Reading::Compressed)
    }

    /// Whether it is held: until it is whole, or its first bytes show how to rewrite it.
    pub fn is_held(&self) -> bool {
        self.rewriting.awaited().is_some()
    }

    /// How many bytes of a body that is held were seen; `None` where it is not held.
    pub fn awaited(&self) -> Option<usize> {
        self.rewriting.awaited()
    }

    /// The length of a body that is rewritten as it flows, or may be.
    pub fn length(&self) -> Length {
        let shrinks = self.strips_usage && matches!(self.reading, Reading::Stream(_) | Reading::Open(_));
        let is_rewritten = matches!(self.rewriting, Rewriting::Stream(_));
        if shrinks || is_rewritten { Length::Unknown } else { Length::Same }
    }

    /// Inspects a body that is held until its first bytes show its form; `size` bytes have arrived.
    pub fn settle(&mut self, host: &impl Host, size: usize, is_end: bool, held_max: usize) -> Settled {
        if !matches!(self.rewriting, Rewriting::Open(..)) {
            return Settled::Before;
        }
        match self.rewriting.settle(host, size, is_end, held_max) {
            None => Settled::NotYet,
            Some(Err(refusal)) => Settled::Refused(refusal),
            Some(Ok(form)) => {
                self.reading.settle(form);
                self.frame(form);
                Settled::Now
            }
        }
    }

    /// Holds a body until all `size` bytes of it are here or it is too large, and gives what goes out then,
    /// with what was found in it; `None` while it is held, and for a body that is not.
    pub fn hold(
        &mut self,
        host: &impl Host,
        size: usize,
        end_of_stream: bool,
        held_max: usize,
        timing: &mut v1::Timing,
    ) -> Option<(Outcome, Vec<v1::Redaction>)> {
        let Rewriting::Whole(whole, read) = &mut self.rewriting else { return None };
        let is_large = size > held_max;
        // All of it is needed in the end; before, one look at what is new.
        let needed = if end_of_stream && !is_large { size } else { size.saturating_sub(*read) };
        let reserved = whole.reserve(needed);
        if let Err(refusal) = reserved {
            let found = whole.report();
            timing.returned_ns = host.now_ns();
            (self.rewriting, self.is_overloaded) = (Rewriting::None, true);
            if !end_of_stream {
                self.drop_rest();
            }
            return Some((Outcome::Refused(refusal), found));
        }
        let fresh = host.response_chunk(*read, size.saturating_sub(*read));
        if timing.first_byte_ns == 0 && !fresh.is_empty() {
            timing.first_byte_ns = host.now_ns();
        }
        if let Reading::Whole(reading) = &mut self.reading {
            reading.0.push_body(&fresh);
        }
        let begins = *read == 0;
        *read += fresh.len();
        if !end_of_stream && !is_large {
            drop(reserved);
            if !self.permit.resize(self.allocated()) {
                self.reading.give_up();
                self.is_given_up = true;
            }
            return None;
        }
        let outcome = if is_large {
            whole.too_large().map_or(Outcome::Same, Outcome::Refused)
        } else if begins {
            whole.rewrite(&fresh)
        } else {
            whole.rewrite(&host.response_chunk(0, *read))
        };
        let found = whole.report();
        timing.returned_ns = host.now_ns();
        self.rewriting = Rewriting::None;
        Some((outcome, found))
    }

    /// Reads no further, and lets nothing go on of what may follow.
    pub fn drop_rest(&mut self) {
        self.reading = Reading::Replaced(String::new(), Transcript::default());
    }

    /// Looks at the next piece of the body as it passes, and rewrites it where it is a stream's. It is held
    /// where its form is not known yet.
    pub fn pass(
        &mut self,
        host: &impl Host,
        size: usize,
        end_of_stream: bool,
        response: &mut v1::Response,
        timing: &mut v1::Timing,
    ) -> Step {
        if let Reading::Replaced(body, _) = &mut self.reading {
            // The whole body goes out with the first piece; what was to follow goes nowhere.
            let body = std::mem::take(body);
            response.body_bytes += body.len() as u64;
            host.replace_response_chunk(size, body.as_bytes());
            return Step::Continue;
        }
        if size == 0 && !(end_of_stream && self.withheld() > 0) {
            return Step::Continue;
        }
        let mut reserved = self.permit.another();
        let before = self.make_room(size, &mut reserved);
        let (size, before) = if !before.is_empty() && self.rewriting.stopped().is_none() {
            // What was held to take usage out of it goes on as it is.
            host.replace_response_chunk(0, &before);
            (size + before.len(), Vec::new())
        } else {
            (size, before)
        };
        let is_read = self.is_read();
        let bytes = if is_read && size > 0 { host.response_chunk(0, size) } else { Vec::new() };
        if self.rewriting.stopped().is_none() && !self.open(&bytes, end_of_stream) {
            return Step::Hold;
        }
        response.streamed = self.is_stream();
        // One look at the clock for the first piece; a stream needs the time of each.
        let now_ns = if response.streamed || timing.first_byte_ns == 0 { host.now_ns() } else { 0 };
        if timing.first_byte_ns == 0 {
            timing.first_byte_ns = now_ns;
        }
        if let Reading::Whole(whole) = &mut self.reading {
            whole.0.push_body(&bytes);
        }
        let Passed { has_token, instead } = self.cut(&bytes, end_of_stream, response);
        let instead = self.settle_memory(reserved, (before, instead), bytes);
        if self.is_overloaded && response.error_type.is_empty() {
            OVERLOADED.clone_into(&mut response.error_type);
        }
        response.unread |= self.is_given_up;
        if has_token {
            if timing.first_token_ns == 0 {
                timing.first_token_ns = now_ns;
            }
            timing.last_token_ns = now_ns;
        }
        response.body_bytes += instead.as_ref().map_or(size, Vec::len) as u64;
        if let Some(instead) = instead {
            host.replace_response_chunk(size, &instead);
        }
        Step::Continue
    }

    /// Inspects the first bytes of a body, which show its form. Returns whether they go on: not where they
    /// are unclear before more has come.
    pub fn open(&mut self, bytes: &[u8], is_end: bool) -> bool {
        let (opening, form) = self.reading.open(bytes, is_end);
        let Some(form) = form else { return opening != Opening::Unclear };
        self.reading.settle(form);
        self.frame(form);
        true
    }

    /// Cuts, reads and rewrites the next bytes, where they are a stream's.
    pub fn cut(&mut self, bytes: &[u8], is_end: bool, response: &mut v1::Response) -> Passed {
        let mut passed = Passed::default();
        let Self { reading, rewriting, strips_usage, framer: Some(framer), .. } = self else { return passed };
        let mut reading = if let Reading::Stream(reading) = reading { Some(&mut reading.0) } else { None };
        let mut rewriting = if let Rewriting::Stream(rewriting) = rewriting { Some(rewriting) } else { None };
        let held_before = framer.held();
        // Not for what is held: most pieces of a large event complete nothing.
        let mut out = (*strips_usage || rewriting.is_some()).then(|| Vec::with_capacity(bytes.len()));
        framer.feed(bytes, is_end, |part| {
            if let (Some(parser), Part::Event(event) | Part::Short(event)) = (&mut reading, &part)
                && event.is_whole()
            {
                passed.has_token |= parser.read_message(event, response);
            }
            let Some(out) = &mut out else { return };
            let change = match &part {
                Part::Event(event) if *strips_usage => Change::of(event),
                _ => Change::Nothing,
            };
            match (&mut rewriting, part) {
                (Some(rewriting), part) => rewriting.pass(&part, &change, out),
                (None, Part::Event(event)) => change.apply(event, out),
                (None, Part::Short(_)) => {}
                (None, Part::Piece(bytes) | Part::Between(bytes) | Part::Close(bytes) | Part::Odd(bytes)) => {
                    out.extend_from_slice(bytes);
                }
            }
        });
        let Some(mut out) = out else { return passed };
        if let Some(rewriting) = rewriting {
            if is_end {
                rewriting.finish(&mut out);
            }
            if let Some(code) = rewriting.stopped() {
                self.is_overloaded |= code == OVERLOADED;
                if response.error_type.is_empty() {
                    code.clone_into(&mut response.error_type);
                }
                // It is still read.
                framer.hold_less();
            }
        }
        let is_same = held_before == 0 && framer.held() == 0 && out == bytes;
        passed.instead = (!is_same).then_some(out);
        passed
    }

    /// How many bytes are held, beside the content that is captured.
    pub fn held(&self) -> usize {
        let framed = self.framer.as_ref().map_or(0, Framer::held);
        self.reading.held() + self.rewriting.held() + framed
    }

    /// What was found and restored, as far as it was not given before.
    pub fn found(&mut self) -> Vec<v1::Redaction> {
        std::mem::take(&mut self.rewriting).report()
    }

    /// All has passed, or will not come: reads what was held for now ([`Reading::finish`]).
    pub fn finish(self, asked: u64, whole: bool, response: &mut v1::Response) -> Read {
        self.reading.finish(self.framer, asked, whole && !self.is_given_up, response)
    }

    /// Whether anything looks at its bytes.
    fn is_read(&self) -> bool {
        let is_nothing =
            matches!(self.reading, Reading::Nothing | Reading::Compressed | Reading::Unexpected(_));
        !self.is_given_up && (!is_nothing || self.framer.is_some())
    }

    /// Bytes allocated, beside the content that is captured and the values that are restored.
    fn allocated(&self) -> usize {
        let framed = self.framer.as_ref().map_or(0, Framer::allocated);
        self.reading.allocated() + self.rewriting.allocated() + framed
    }

    /// Most bytes that taking a piece of so many needs: the piece, what goes on in its place, and what is held of
    /// both. Events reserve for themselves what their rewriting needs.
    fn needed(&self, piece: usize) -> usize {
        let framed = self.framer.as_ref().map_or(0, |framer| framer.growth(piece));
        piece.saturating_mul(3).saturating_add(framed)
    }

    /// Reserves memory to take a piece of so many bytes. Where there is none a stream that is rewritten stops,
    /// and what was held of it is free; where that is not enough, it is no longer read. Gives what goes out
    /// before the piece.
    fn make_room(&mut self, piece: usize, reserved: &mut BudgetPermit) -> Vec<u8> {
        let mut before = Vec::new();
        if !self.is_read() || reserved.take(self.needed(piece)) {
            return before;
        }
        self.run_out(&mut before);
        if !reserved.take(self.needed(piece)) {
            self.give_up(&mut before);
        }
        before
    }

    /// A piece was taken: reserves what is held now in place of what it needed. Gives what goes on in place of the
    /// piece, `None` where that is the piece as it is; the memory runs out as in [`make_room`](Self::make_room).
    fn settle_memory(
        &mut self,
        reserved: BudgetPermit,
        (mut before, mut instead): (Vec<u8>, Option<Vec<u8>>),
        bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        drop(reserved);
        if self.rewriting.stopped().is_some() {
            // Behind what stopped it nothing goes on.
            before.append(&mut instead.unwrap_or_default());
            instead = Some(before);
        }
        if !self.permit.resize(self.allocated()) {
            let mut behind = Vec::new();
            self.run_out(&mut behind);
            if !self.permit.resize(self.allocated()) {
                self.give_up(&mut behind);
            }
            if !behind.is_empty() {
                instead.get_or_insert(bytes).extend_from_slice(&behind);
            }
        }
        instead
    }

    /// There is no memory for more: a stream that is rewritten ends with its API's error.
    fn run_out(&mut self, out: &mut Vec<u8>) {
        let Rewriting::Stream(stream) = &mut self.rewriting else { return };
        self.is_overloaded |= stream.stopped().is_none();
        stream.run_out(out);
        if let Some(framer) = &mut self.framer {
            framer.hold_less();
        }
        self.permit.resize(self.allocated().min(self.permit.held()));
    }

    /// There is no memory to read on. What is held of a stream that goes on goes out.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        self.is_given_up = true;
        self.reading.give_up();
        if let Some(mut framer) = self.framer.take()
            && !matches!(self.rewriting, Rewriting::Stream(_))
            && std::mem::take(&mut self.strips_usage)
        {
            out.append(&mut framer.take_held());
        }
        self.permit.resize(self.allocated().min(self.permit.held()));
    }

    /// How many bytes are held back that are on their way to the caller.
    fn withheld(&self) -> usize {
        match (&self.framer, &self.rewriting) {
            (Some(framer), Rewriting::Stream(stream)) => framer.held() + stream.held(),
            (Some(framer), _) if self.strips_usage => framer.held(),
            _ => 0,
        }
    }

    /// The response comes in this form: cuts it, where it is a stream by that or is rewritten as one.
    fn frame(&mut self, form: Form) {
        let long_messages = match &self.reading {
            Reading::Stream(stream) => stream.1,
            _ => LONG,
        };
        let rewritten = match &mut self.rewriting {
            Rewriting::Stream(stream) => Some(stream),
            _ => None,
        };
        let form = match &rewritten {
            // An object in a stream of events stands bare.
            Some(_) if !form.is_stream() => Form::Events,
            _ => form,
        };
        let held_max = match (&rewritten, self.strips_usage) {
            (Some(_), _) => self.held_max,
            (None, true) => strip_usage::HELD_MAX,
            (None, false) => 0,
        };
        if let Some(stream) = rewritten {
            stream.settle(form);
        }
        self.framer = Framer::new(form, long_messages).map(|framer| framer.holding(held_max));
    }
}

/// What became of a piece of a stream.
#[derive(Debug, Default)]
pub struct Passed {
    /// It brought a token.
    pub has_token: bool,
    /// What goes on in place of it; `None` where that is the piece as it is.
    pub instead: Option<Vec<u8>>,
}
