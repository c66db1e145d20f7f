//! One pass over a text: candidates are recognized by literals and single bytes, and checked by their
//! validator, in the order of the text.
//!
//! A validator reads a bounded number of bytes, or those of its match, so time is linear in any text. The pass goes
//! on part by part, and a validator that reads far is asked again with the next part.

use std::ops::Range;

use crate::redact::detectors::composition::Composition;
use crate::redact::detectors::label::Word;
use crate::redact::detectors::names::{Builtin, Set};
use crate::redact::detectors::{
    birth, document, email, hardware, iban, key, label, login, number, pem, phone, secret,
};
use crate::redact::engine::literals::{Finder, Literal, Literals, Occurrence};
use crate::redact::engine::sink::Sink;
use crate::redact::text::placeholder::{Form, placeholder};
use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, HEX, TAIL, TRIGGER, View, is};

/// Most bytes held back at the end of a text that may begin a match.
const TAIL_MAX: usize = 64;
/// Bytes searched at once, first for literals, then for trigger bytes.
const PART: usize = 2048;
/// How far after a birth word its date may follow, with a place in between, in bytes.
const BIRTH_REACH: usize = 40;

/// A pass over one text.
struct Pass<'p, 't> {
    view: &'p View<'t>,
    set: Set,
    labels: &'p [String],
    form: Form,
    sink: Sink,
    /// End of the last number and of the last address: candidates before it are part of them.
    number_end: usize,
    email_end: usize,
    /// Start and end of the last key: others that begin within it are part of it.
    key: (usize, usize),
    /// Start and end of the last secret after a word.
    value: (usize, usize),
    /// The beginning of the value after the last such word.
    composition: Composition,
    /// The gap after the last other word.
    gaps: label::Gaps,
    /// A position after a birth word, and the next one where a date may begin.
    between: (usize, usize),
    /// Where a date was last looked for, and whether there is one.
    date: Option<(usize, bool)>,
    /// The `@` of the last URL with credentials, which is not part of an address.
    url_at: usize,
    /// A private key of which only a part was read.
    armour: Option<pem::Armour>,
}

/// A search for the matches of the built-in detectors of a set.
pub(crate) struct Scan<'p, 't> {
    pass: Pass<'p, 't>,
    finder: Finder<'p>,
    /// End of the part that is searched, and the next byte of it.
    end: usize,
    next: usize,
    /// A literal whose validator was paused.
    paused: Option<Occurrence>,
}

impl<'p, 't> Scan<'p, 't> {
    pub fn new(
        literals: &'p Literals,
        set: Set,
        (labels, form): (&'p [String], Form),
        view: &'p View<'t>,
    ) -> Self {
        let pass = Pass {
            view,
            set,
            labels,
            form,
            sink: Sink::default(),
            number_end: view.from,
            email_end: view.barrier,
            key: (0, 0),
            value: (0, 0),
            composition: Composition::default(),
            gaps: label::Gaps::default(),
            between: (0, 0),
            date: None,
            url_at: usize::MAX,
            armour: None,
        };
        Self { pass, finder: literals.finder(view.bytes()), end: 0, next: 0, paused: None }
    }

    /// Searches a part; returns whether some is left.
    pub fn go_on(&mut self) -> bool {
        let goes_on = self.part();
        self.pass.sink.order();
        goes_on
    }

    fn part(&mut self) -> bool {
        let view = self.pass.view;
        if let Some(paused) = self.paused.take()
            && !self.literal(paused)
        {
            return true;
        }
        if self.next == self.end {
            if !self.literals_to(self.end) {
                return true;
            }
            if self.end == view.len() {
                return false;
            }
            self.end = (self.end + PART).min(view.len());
            self.finder.read(self.end);
        }
        let stopped = triggers(view, self.next.max(view.from)..self.end, |at, byte| {
            if self.finder.has_to(at + 1) && !self.literals_to(at + 1) {
                return false;
            }
            self.pass.byte(at, byte);
            !view.is_paused() || !view.take_pause()
        });
        self.next = stopped.unwrap_or(self.end);
        true
    }

    /// Checks the literals that end at an offset or before; returns false if a validator was paused.
    fn literals_to(&mut self, end: usize) -> bool {
        while let Some(next) = self.finder.next_to(end) {
            if !self.literal(next) {
                return false;
            }
        }
        true
    }

    fn literal(&mut self, literal: Occurrence) -> bool {
        self.pass.literal(literal.meaning, literal.start, literal.end);
        let is_paused = self.pass.view.take_pause();
        self.paused = is_paused.then_some(literal);
        !is_paused
    }

    /// Returns the matches of the whole text.
    pub fn finish(self) -> Sink {
        let (view, mut sink) = (self.pass.view, self.pass.sink);
        let floor = view.from.max(view.barrier);
        let mut tail = view.run_back(view.len(), TAIL, floor, TAIL_MAX);
        if self.pass.set.has(Builtin::Email) && tail == view.len() {
            tail = email::wide_start(view, view.len(), floor);
        }
        if tail < view.len() {
            sink.open = sink.open.min(tail);
        }
        sink
    }
}

/// Passes on the trigger bytes of a part of a view, until one is refused; returns where that one stands.
fn triggers(view: &View<'_>, part: Range<usize>, mut take: impl FnMut(usize, u8) -> bool) -> Option<usize> {
    /// Bytes ruled out at once.
    const CHUNK: usize = 16;
    let mut at = part.start;
    for chunk in view.bytes().get(part).unwrap_or_default().chunks(CHUNK) {
        // Digits and most signs, which are rare in prose.
        let may_be = |byte: &u8| byte.wrapping_sub(b'(') <= b'@' - b'(' || *byte == b'[' || *byte == b'~';
        if chunk.iter().fold(false, |any, byte| any | may_be(byte)) {
            for (offset, byte) in chunk.iter().copied().enumerate() {
                if is(byte, TRIGGER) && !take(at + offset, byte) {
                    return Some(at + offset);
                }
            }
        }
        at += chunk.len();
    }
    None
}

impl Pass<'_, '_> {
    fn literal(&mut self, literal: Literal, start: usize, end: usize) {
        let view = self.view;
        view.begin();
        match literal {
            Literal::Word(word) => self.word(word, start, end),
            Literal::Key(key) if self.set.has(key.detector) => {
                let Some((start, from)) = key::start(view, key, start, end) else { return };
                if from > self.key.0 && from < self.key.1 {
                    return;
                }
                let found = key::end(view, key, start, end);
                if self.sink.take(view, from, key.detector.id(), found) {
                    self.key = (from, found.unwrap_or(from).max(self.key.1));
                }
            }
            Literal::Pem if self.set.has(Builtin::PrivateKey) => {
                let found = pem::end(view, &mut self.armour, start);
                self.sink.take(view, start, Builtin::PrivateKey.id(), found);
            }
            Literal::Jwt if self.set.has(Builtin::Jwt) => {
                let found = key::jwt(view, start);
                self.sink.take(view, start, Builtin::Jwt.id(), found);
            }
            Literal::Url if self.set.has(Builtin::UrlCredentials) && view.before_is(start, ALNUM) => {
                let found = login::userinfo(view, end);
                self.url_at = found.unwrap_or(self.url_at);
                self.sink.take(view, end, Builtin::UrlCredentials.id(), found);
            }
            Literal::AzureSignature if self.set.has(Builtin::Azure) => {
                let found = key::azure_signature(view, start, end);
                self.sink.take(view, end, Builtin::Azure.id(), found);
            }
            _ => {}
        }
    }

    /// Checks the value beside a word.
    fn word(&mut self, word: Word, start: usize, end: usize) {
        let view = self.view;
        let detector = match word {
            Word::Birth => Builtin::DateOfBirth,
            Word::Passport => Builtin::Passport,
            Word::Licence => Builtin::DrivingLicence,
            Word::Ssn => Builtin::Ssn,
            Word::Card => Builtin::CreditCard,
            Word::Phone => Builtin::Phone,
            Word::Secret | Word::Password | Word::Scheme | Word::Login => Builtin::GenericSecret,
            Word::AwsSecret | Word::AwsSession => Builtin::Aws,
            Word::Azure => Builtin::Azure,
        };
        if !self.set.has(detector) {
            return;
        }
        if detector.is_secret() {
            if word == Word::Scheme && view.before_is(start, ALPHA) {
                return;
            }
            view.begin();
            let Some(place) = secret::place(view, word, start, end) else { return };
            // A word within a value is not one; several words may announce the same value.
            let (from, to) = self.value;
            if place.at < view.from || (place.at < to && place.at != from) {
                return;
            }
            let found = secret::value(view, &mut self.composition, word, &place);
            if self.sink.take(view, place.at, detector.id(), found) {
                self.value = (place.at, found.unwrap_or(to).max(if place.at == from { to } else { 0 }));
            }
            return;
        }
        if !label::stands_alone(view, start, end) {
            return;
        }
        view.begin();
        let Some(mut at) = self.gaps.value(view, end) else { return };
        let validate = match detector {
            Builtin::DateOfBirth => return self.birth(at, end),
            Builtin::Passport => document::passport,
            Builtin::DrivingLicence => document::licence,
            Builtin::Ssn => number::labelled_ssn,
            Builtin::CreditCard => number::labelled_card,
            _ => phone::labelled_phone,
        };
        // A word may announce several values.
        for _ in 0..label::VALUES_MAX {
            let found = validate(view, at);
            self.sink.take(view, at, detector.id(), found);
            match found.and_then(|end| label::also(view, end)) {
                Some(next) => at = next,
                None => return,
            }
        }
    }

    /// Looks for a date at an offset, or after a place (`born in Berlin, 12 March 1980`). `end` is the end of
    /// the word.
    fn birth(&mut self, at: usize, end: usize) {
        if self.date(at) {
            return;
        }
        let view = self.view;
        view.begin();
        // Words in a row share the result.
        let (from, to) = self.between;
        let mut later = if (from..=to).contains(&at) { to } else { at };
        while later - end < BIRTH_REACH
            && view.at(later).is_some_and(|b| is(b, ALPHA) || b >= 0x80 || b" ,()".contains(&b))
        {
            later += 1;
        }
        self.between = (at, later);
        if later > at && view.is(later, DIGIT) {
            self.date(later);
        }
    }

    /// Whether a date begins at an offset.
    fn date(&mut self, at: usize) -> bool {
        let view = self.view;
        if let Some((known, found)) = self.date
            && known == at
        {
            return found;
        }
        view.begin();
        let found = birth::date(view, at);
        let is_match = self.sink.take(view, at, Builtin::DateOfBirth.id(), found);
        self.date = Some((at, is_match));
        is_match
    }

    /// Handles a trigger byte.
    fn byte(&mut self, at: usize, byte: u8) {
        match byte {
            b'0'..=b'9' => self.digit(at),
            b'@' => self.email(at),
            b'+' | b'(' => {
                let next = self.view.bytes().get(at + 1);
                let begins = next.is_none_or(|byte| is(*byte, DIGIT) || *byte == b'+');
                if begins && self.set.has(Builtin::Phone) && at >= self.number_end {
                    let floor = self.floor();
                    self.number(at, Builtin::Phone, |view, at| phone::phone(view, at, floor));
                }
            }
            b'[' => {
                if self.view.bytes().get(at + 1).is_none_or(u8::is_ascii_uppercase) {
                    self.replaced(at);
                }
            }
            b'~' => self.azure_secret(at),
            _ => self.hardware(at),
        }
    }

    /// Checks an Azure client secret, which contains `Q~`.
    fn azure_secret(&mut self, at: usize) {
        let view = self.view;
        view.begin();
        let marks =
            at.checked_sub(1).filter(|mark| view.bytes().get(*mark).is_some_and(|byte| byte | 0x20 == b'q'));
        if let Some(mark) = marks.filter(|_| self.set.has(Builtin::Azure))
            && let Some((start, found)) = key::azure_secret(view, mark)
        {
            self.sink.take(view, start, Builtin::Azure.id(), found);
        }
    }

    /// Whether a number of this kind begins at an offset.
    fn number(
        &mut self,
        at: usize,
        detector: Builtin,
        validate: impl Fn(&View<'_>, usize) -> Option<usize>,
    ) -> bool {
        if !self.set.has(detector) {
            return false;
        }
        self.view.begin();
        let found = validate(self.view, at);
        let is_match = self.sink.take(self.view, self.with_sign(at), detector.id(), found);
        if is_match {
            self.number_end = found.unwrap_or(at);
        }
        is_match
    }

    /// Returns the end of the last match: numbers before it do not continue behind it.
    fn floor(&self) -> usize {
        self.sink.reached.max(self.view.barrier)
    }

    /// Returns the start of a number, including its minus sign.
    fn with_sign(&self, at: usize) -> usize {
        let view = self.view;
        let signed = view.signed && at > view.from && view.before(at) == Some(b'-');
        if signed && !view.before_is(at - 1, ALNUM) { at - 1 } else { at }
    }

    fn digit(&mut self, at: usize) {
        let view = self.view;
        if at < self.number_end {
            return;
        }
        if !view.before_is(at, ALNUM) {
            self.group(at);
        } else if view.before_is(at, ALPHA)
            && self.set.has(Builtin::Iban)
            && let Some(start) = iban::start(view, at)
        {
            self.number(start, Builtin::Iban, iban::end);
        }
    }

    /// Checks what begins with a group of digits. Most numbers in a text are short and stand alone.
    fn group(&mut self, at: usize) {
        let view = self.view;
        view.begin();
        let end = view.run(at, DIGIT, number::CARD_MIN);
        let separator = view.at(end).filter(|byte| {
            b" -./".contains(byte) && (view.is(end + 1, DIGIT) || view.at(end + 1) == Some(b'('))
        });
        if view.is_open() {
            self.sink.open = self.sink.open.min(self.with_sign(at));
        }
        let spaced = matches!(separator, Some(b' ' | b'-'));
        let (length, floor) = (end - at, self.floor());
        let _ = number::may_be_card(view, at, end) && self.number(at, Builtin::CreditCard, number::card)
            || spaced && length == 3 && self.number(at, Builtin::Ssn, number::ssn)
            || separator == Some(b'.') && length < 4 && self.number(at, Builtin::Ip, number::ipv4)
            || separator.is_some()
                && phone::may_begin(view, at, length, floor)
                && self.number(at, Builtin::Phone, |view, at| phone::phone(view, at, floor))
            || phone::may_precede_word(view, at, length, separator.is_some(), floor)
                && self.number(at, Builtin::Phone, phone::before_word);
    }

    fn email(&mut self, at: usize) {
        let view = self.view;
        if !self.set.has(Builtin::Email) || at == self.url_at {
            return;
        }
        view.begin();
        if let Some(start) = email::start(view, at, self.email_end.max(view.barrier)) {
            let found = email::end(view, at);
            if self.sink.take(view, start, Builtin::Email.id(), found) {
                self.email_end = found.unwrap_or(at);
            }
        }
    }

    fn hardware(&mut self, at: usize) {
        let view = self.view;
        let (ip, mac) = (self.set.has(Builtin::Ip), self.set.has(Builtin::Mac));
        let byte = view.bytes().get(at).copied();
        // A group of digits on both sides, or a second colon.
        let before = view.before(at).is_some_and(|byte| is(byte, HEX));
        let behind = view.bytes().get(at + 1).is_none_or(|behind| is(*behind, HEX) || *behind == b':');
        let colon = byte == Some(b':');
        if !behind || !(mac || ip && colon) || (!before && !colon) {
            return;
        }
        view.begin();
        let Some(start) = hardware::start(view, at) else { return };
        if mac {
            let found = hardware::mac(view, start);
            if self.sink.take(view, start, Builtin::Mac.id(), found) {
                return;
            }
        }
        if ip && colon {
            view.begin();
            let found = hardware::ipv6(view, start);
            self.sink.take(view, start, Builtin::Ip.id(), found);
        }
    }

    /// Notes a replacement of the current form that the text already contains.
    fn replaced(&mut self, at: usize) {
        let view = self.view;
        view.begin();
        let found = placeholder(view, at, self.labels, self.form);
        if view.is_open() {
            self.sink.open = self.sink.open.min(at);
        }
        if let Some(end) = found {
            self.sink.replaced.push(at..end);
        }
    }
}
