//! Redaction as a gateway has it: its detectors and policies, which of them hold for a request, and
//! what becomes of what is sent and of what is exported.
//!
//! Whatever a key, a model or a request says makes its policies stricter and never laxer. What cannot
//! be read is not exported, and not sent where something is looked for in it. No value that matched is in
//! an error or in `Debug` output.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use weir_event::v1;

use crate::api::Family;
use crate::headers::Headers;
use crate::json::scan::Object;
use crate::redact::{
    Actions, Channel, Content, Counts, Detectors, ExportedPolicy, Fields, ForwardedPolicy, HashKey, Policies,
    Replacement, Restorer, Search, StreamRedactor, Style, Unreadable,
};
use crate::refusal::Refusal;

/// A request's own word that nothing of its content is exported: `exclude`.
const WEIR_CONTENT: &str = "x-weir-content";
/// The same by TrueFoundry's name: `{"enabled": false}`.
const TFY_LOGGING: &str = "x-tfy-logging-config";

/// The detectors and policies of a gateway.
#[derive(Debug)]
pub struct Redaction {
    pub(crate) detectors: Arc<Detectors>,
    pub(crate) policies: Policies,
    pub(crate) hash_key: Option<HashKey>,
    /// The policies of keys that have stricter ones, by the key's name.
    pub(crate) by_key: HashMap<String, Policies>,
    /// The same of models, by every name that they or their targets are asked for by: those of the table,
    /// and `provider/model`.
    pub(crate) by_model: HashMap<String, Policies>,
}

/// What was found in a body that is to be sent.
#[derive(Debug, Default)]
pub struct Searched {
    /// The body that is sent in place of it, where it is another.
    pub body: Option<Vec<u8>>,
    /// What was found.
    pub found: Vec<v1::Redaction>,
    /// The way back from the placeholders that were put in, where there is to be one.
    pub restorer: Option<Restorer>,
}

/// How the content of one request is exported, and what is said beside it.
#[derive(Clone, Debug)]
pub struct Export {
    redaction: Rc<Redaction>,
    policy: ExportedPolicy,
    family: Family,
}

impl Redaction {
    /// What holds for a request of this key for this model.
    pub fn policies(&self, key: &str, model: &str, headers: &Headers) -> Policies {
        let own = [self.by_key.get(key), self.by_model.get(model)];
        let mut policies = own.into_iter().flatten().fold(self.policies, |one, other| one.stricter(other));
        if asks_for_exclusion(headers) {
            policies.exported = policies.exported.excluding(self.detectors.all());
        }
        policies
    }

    /// Whether anything is looked for in what is sent.
    pub fn searches(&self, policy: &ForwardedPolicy) -> bool {
        !policy.actions.is_off()
    }

    /// Searches the JSON body of a request, whose members are those of `object`, for what must not reach the
    /// provider.
    pub fn forward(
        &self,
        policy: &ForwardedPolicy,
        family: Family,
        body: &[u8],
        object: Option<&Object<'_>>,
    ) -> Result<Searched, Refusal> {
        let (set, fields) = (policy.actions.all(), Fields::request(family));
        let search = Search { detectors: &self.detectors, set, fields, except: &[], is_cut: false };
        let mut replacement = self.replacement(policy.actions.replacement);
        let mut restorer = Restorer::default();
        let redacted = if policy.restore {
            restorer = Restorer::beside(std::str::from_utf8(body).unwrap_or_default(), &self.detectors);
            if let Some(object) = object {
                number_in_order_of_the_prompt(&search, object, &mut restorer);
            }
            search.redact(body, &mut restorer)
        } else {
            search.redact(body, &mut replacement)
        };
        let Ok(redacted) = redacted else {
            return self.unreadable(policy).map(|()| Searched::default());
        };
        if let Some(names) = self.blocked(&policy.actions, &redacted.counts) {
            return Err(Refusal::content_blocked(&names));
        }
        let found = self.report(&redacted.counts, v1::RedactedFor::Provider);
        let changed = !redacted.counts.is_empty();
        let restorer = (!restorer.is_empty()).then_some(restorer);
        Ok(Searched { body: changed.then(|| redacted.body.into_owned()), found, restorer })
    }

    /// The names of the detectors that matched and whose matches refuse the whole; `None` where none has.
    pub fn blocked(&self, actions: &Actions, counts: &Counts) -> Option<Vec<&str>> {
        let blocking = counts.iter().filter(|(id, _)| actions.block.contains(*id));
        let names: Vec<&str> = blocking.map(|(id, _)| self.detectors.name(id).0).collect();
        (!names.is_empty()).then_some(names)
    }

    /// All detectors.
    pub fn detectors(&self) -> &Arc<Detectors> {
        &self.detectors
    }

    /// What stands in a match's place.
    pub fn replacement(&self, style: Style) -> Replacement {
        Replacement::new(style, self.hash_key.as_ref())
    }

    /// What becomes of a body that cannot be searched: it goes on, or it is refused.
    pub fn unreadable(&self, policy: &ForwardedPolicy) -> Result<(), Refusal> {
        match policy.on_unreadable {
            Unreadable::Pass => Ok(()),
            Unreadable::Refuse => Err(Refusal::content_unreadable()),
        }
    }

    /// What was found, as events report it.
    pub fn report(&self, counts: &Counts, scope: v1::RedactedFor) -> Vec<v1::Redaction> {
        let report = counts.iter().map(|(id, count)| {
            let (detector, version) = self.detectors.name(id);
            v1::Redaction { detector: detector.to_owned(), version, count, scope: scope.into() }
        });
        report.collect()
    }
}

impl Export {
    /// How content is exported under this policy; `None` where there is no redaction.
    pub fn new(redaction: Option<&Rc<Redaction>>, policy: ExportedPolicy, family: Family) -> Option<Self> {
        redaction.map(|redaction| Self { redaction: Rc::clone(redaction), policy, family })
    }

    /// Whether content is exported at all.
    pub fn is_exported(&self) -> bool {
        self.policy.content != Content::Exclude
    }

    /// Whether the detectors run over content.
    pub fn redacts(&self) -> bool {
        self.policy.content == Content::Redact
    }

    /// A request's body as it may be exported; `None` where it cannot be read. Where it was cut, strings that
    /// end with an ellipsis are without what may be the beginning of what would have been found.
    pub fn request(&self, body: Vec<u8>, is_cut: bool, counts: &mut Counts) -> Option<Vec<u8>> {
        self.json(body, Fields::request(self.family), is_cut, counts)
    }

    /// The same of a response's.
    pub fn response(&self, body: Vec<u8>, is_cut: bool, counts: &mut Counts) -> Option<Vec<u8>> {
        self.json(body, Fields::response(self.family), is_cut, counts)
    }

    /// The arguments of a tool call as they may be exported: JSON of any shape, or a text that is none.
    pub fn arguments(&self, arguments: &mut String, is_cut: bool, counts: &mut Counts) {
        match self.json(arguments.as_bytes().to_vec(), Fields::NONE, is_cut, counts) {
            Some(json) => *arguments = String::from_utf8(json).unwrap_or_default(),
            None => self.text(arguments, is_cut, counts),
        }
    }

    /// Entries as they may be exported, keys and values; a key is context for its value.
    pub fn entries(&self, entries: &mut BTreeMap<String, String>, counts: &mut Counts) {
        if entries.is_empty() || self.policy.detectors.is_empty() {
            return;
        }
        let json = serde_json::to_vec(entries).unwrap_or_default();
        let exported = self.json(json, Fields::NONE, false, counts);
        *entries = exported.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    }

    fn json(&self, body: Vec<u8>, fields: Fields, is_cut: bool, counts: &mut Counts) -> Option<Vec<u8>> {
        if self.policy.detectors.is_empty() {
            return Some(body);
        }
        let mut replacement = self.replacement();
        let (detectors, set) = (&*self.redaction.detectors, self.policy.detectors);
        let search = Search { detectors, set, fields, except: &[], is_cut };
        let redacted = search.redact(&body, &mut replacement).ok()?;
        counts.merge(&redacted.counts);
        match redacted.body {
            std::borrow::Cow::Owned(other) => Some(other),
            std::borrow::Cow::Borrowed(_) => Some(body),
        }
    }

    /// A text as it may be exported. Of one that was cut, the end is left out where it may be the beginning
    /// of what would have been found.
    pub fn text(&self, text: &mut String, is_cut: bool, counts: &mut Counts) {
        if self.policy.detectors.is_empty() {
            return;
        }
        let mut replacement = self.replacement();
        let detectors = &self.redaction.detectors;
        if is_cut {
            let (set, detectors) = (self.policy.detectors, Arc::clone(detectors));
            let mut pieces = StreamRedactor::new(detectors, set, replacement, Channel::Text);
            *text = pieces.feed(text);
            counts.merge(pieces.counts());
            return;
        }
        let redacted = detectors.redact(self.policy.detectors, text, &mut replacement, counts);
        if let std::borrow::Cow::Owned(other) = redacted {
            *text = other;
        }
    }

    fn replacement(&self) -> Replacement {
        self.redaction.replacement(self.policy.replacement)
    }

    /// What was found, as events report it.
    pub fn report(&self, counts: &Counts) -> Vec<v1::Redaction> {
        self.redaction.report(counts, v1::RedactedFor::Export)
    }
}

/// The members of a body that grow with a conversation.
const CONVERSATIONS: [&str; 3] = ["messages", "input", "contents"];

/// Has what stands behind the conversation in a body numbered before it. Providers read tools and
/// instructions first, wherever they stand; numbered last, they would have other placeholders with each
/// turn, and no cache of prompts would hit.
fn number_in_order_of_the_prompt(search: &Search<'_>, object: &Object<'_>, restorer: &mut Restorer) {
    let is_conversation = |key: &str| CONVERSATIONS.contains(&key);
    let behind = object.iter().skip_while(|(key, _)| !is_conversation(key));
    for (key, value) in behind.filter(|(key, _)| !is_conversation(key)) {
        search.show(key, value.raw, restorer);
    }
}

/// Whether a request asks that nothing of its content be exported.
fn asks_for_exclusion(headers: &Headers) -> bool {
    let excludes = headers.get(WEIR_CONTENT).is_some_and(|value| value.eq_ignore_ascii_case(b"exclude"));
    let disabled = || {
        let config = serde_json::from_slice::<serde_json::Value>(headers.get(TFY_LOGGING)?).ok()?;
        config.get("enabled")?.as_bool()
    };
    excludes || disabled() == Some(false)
}
