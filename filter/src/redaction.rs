//! The gateway's redaction: its detectors and policies, which of them apply to a request, and how forwarded and
//! exported content is redacted.
//!
//! Keys, models and requests can make policies stricter, never laxer. Content that cannot be read is not
//! exported, and is not forwarded where detectors run on it. No matched value appears in an error or in `Debug`
//! output.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use weir_event::v1;

use crate::api::Family;
use crate::headers::Headers;
use crate::json::scan::Object;
use crate::redact::{
    Actions, Channel, Content, Counts, Detectors, ExportedPolicy, Fields, ForwardedPolicy, HashKey, Policies,
    Replacement, Restorer, Search, Sliced, StreamRedactor, Style, Unreadable, now,
};
use crate::refusal::Refusal;

/// The value `exclude` keeps the request's content out of telemetry; [`KEEP`] leaves it to the configuration.
const WEIR_CONTENT: &str = "x-weir-content";
const KEEP: &[u8] = b"keep";
/// TrueFoundry's equivalent: `{"enabled": false}`.
const TFY_LOGGING: &str = "x-tfy-logging-config";

/// Most steps that the search of a body may take for each of its bytes, and bytes that count at least. No text is
/// known that comes near it.
const STEPS_MAX: u64 = 1024;
const STEPS_LEAST: u64 = 1 << 16;

/// The detectors and policies of a gateway.
#[derive(Debug)]
pub struct Redaction {
    pub(crate) detectors: Arc<Detectors>,
    pub(crate) policies: Policies,
    pub(crate) hash_key: Option<HashKey>,
    /// Policies of keys that have stricter ones, by key name.
    pub(crate) by_key: HashMap<String, Policies>,
    /// The same for models, by every name under which they or their targets can be requested: that of the
    /// model, and `provider/model`.
    pub(crate) by_model: HashMap<String, Policies>,
}

/// The result of searching a body that is about to be forwarded.
#[derive(Debug, Default)]
pub struct Searched {
    /// The body to send instead, if it changed.
    pub body: Option<Vec<u8>>,
    /// Matches, as events report them.
    pub found: Vec<v1::Redaction>,
    /// Restores the placeholders that were inserted, if the policy says so.
    pub restorer: Option<Restorer>,
}

/// Redacts what is exported of one request: its content and its metadata, slice by slice.
#[derive(Clone, Debug)]
pub struct Export {
    redaction: Rc<Redaction>,
    policy: ExportedPolicy,
    family: &'static Family,
}

impl Redaction {
    /// The policies for a request with this key for this model.
    pub fn policies(&self, key: &str, model: &str, headers: &Headers) -> Policies {
        let own = [self.by_key.get(key), self.by_model.get(model)];
        let mut policies = own.into_iter().flatten().fold(self.policies, |one, other| one.stricter(other));
        if asks_for_exclusion(headers) {
            policies.exported = policies.exported.excluding(self.detectors.all());
        }
        policies
    }

    /// Whether any detector runs on what is forwarded.
    pub fn searches(&self, policy: &ForwardedPolicy) -> bool {
        !policy.actions.is_off()
    }

    /// Whether any policy has detectors run on what is forwarded.
    pub fn may_search(&self) -> bool {
        self.all().any(|policies| self.searches(&policies.forwarded))
    }

    /// Whether some request is searched, and whether some response is searched or has values restored.
    pub fn searches_any(&self) -> (bool, bool) {
        let rewrites =
            self.all().any(|policies| !policies.returned.actions.is_off() || policies.forwarded.restore);
        (self.may_search(), rewrites)
    }

    /// The policies of requests, of keys and of models.
    fn all(&self) -> impl Iterator<Item = &Policies> {
        std::iter::once(&self.policies).chain(self.by_key.values()).chain(self.by_model.values())
    }

    /// Searches the JSON body of a request, whose members are those of `object`, for what must not reach the
    /// provider.
    pub fn forward(
        &self,
        policy: &ForwardedPolicy,
        family: &'static Family,
        body: &[u8],
        object: Option<&Object<'_>>,
    ) -> Result<Searched, Refusal> {
        now(self.search(policy, family, body, object))
    }

    /// Begins the same search of a long body, slice by slice. One that takes more steps than any body of its
    /// length should counts as unreadable.
    pub fn forward_in_slices(
        self: &Rc<Self>,
        policy: ForwardedPolicy,
        family: &'static Family,
        body: &Rc<Vec<u8>>,
    ) -> Sliced<Result<Searched, Refusal>> {
        let (redaction, body) = (Rc::clone(self), Rc::clone(body));
        let steps_max = STEPS_MAX.saturating_mul(body.len() as u64 + STEPS_LEAST);
        let search = async move {
            let object = if policy.restore { Object::parse(&body).ok() } else { None };
            redaction.search(&policy, family, &body, object.as_ref()).await
        };
        Sliced::new(search, steps_max)
    }

    async fn search(
        &self,
        policy: &ForwardedPolicy,
        family: &'static Family,
        body: &[u8],
        object: Option<&Object<'_>>,
    ) -> Result<Searched, Refusal> {
        let (set, fields) = (policy.actions.all(), family.request_fields);
        let strict = policy.actions.block;
        let search = Search { detectors: &self.detectors, set, strict, fields, except: &[], is_cut: false };
        let mut replacement = self.replacement(policy.actions.replacement);
        let mut restorer = Restorer::default();
        let redacted = if policy.restore {
            let text = std::str::from_utf8(body).unwrap_or_default();
            restorer = Restorer::for_text_in_slices(text, &self.detectors).await;
            if let Some(object) = object {
                number_in_order_of_the_prompt(&search, object, &mut restorer).await;
            }
            search.redact_in_slices(body, &mut restorer).await
        } else {
            search.redact_in_slices(body, &mut replacement).await
        };
        let Ok(redacted) = redacted else {
            return self.unreadable(policy).map(|()| Searched::default());
        };
        if let Some(names) = self.blocked(&policy.actions, &redacted.counts) {
            return Err(Refusal::content_blocked(&names));
        }
        let found = self.reported(&redacted.counts, v1::RedactedFor::Provider);
        let changed = !redacted.counts.is_empty();
        let restorer = (!restorer.is_empty()).then(|| restorer.numbered());
        Ok(Searched { body: changed.then(|| redacted.body.into_owned()), found, restorer })
    }

    /// Names of the detectors whose matches block the message; `None` if there are none.
    pub fn blocked(&self, actions: &Actions, counts: &Counts) -> Option<Vec<&str>> {
        let blocking = counts.iter().filter(|(id, _)| actions.block.contains(*id));
        let names: Vec<&str> = blocking.map(|(id, _)| self.detectors.name(id).0).collect();
        (!names.is_empty()).then_some(names)
    }

    /// All detectors.
    pub fn detectors(&self) -> &Arc<Detectors> {
        &self.detectors
    }

    /// Returns the replacement of this style.
    pub fn replacement(&self, style: Style) -> Replacement {
        Replacement::new(style, self.hash_key.as_ref())
    }

    /// Lets a body that cannot be searched pass, or refuses it.
    pub fn unreadable(&self, policy: &ForwardedPolicy) -> Result<(), Refusal> {
        match policy.on_unreadable {
            Unreadable::Pass => Ok(()),
            Unreadable::Refuse => Err(Refusal::content_unreadable()),
        }
    }

    /// Returns the matches, as events report them.
    pub fn reported(&self, counts: &Counts, scope: v1::RedactedFor) -> Vec<v1::Redaction> {
        let reported = counts.iter().map(|(id, count)| {
            let (detector, version) = self.detectors.name(id);
            v1::Redaction { detector: detector.to_owned(), version, count, scope: scope.into() }
        });
        reported.collect()
    }
}

impl Export {
    /// Returns the export of content under this policy; `None` if redaction is not configured.
    pub fn new(
        redaction: Option<&Rc<Redaction>>,
        policy: ExportedPolicy,
        family: &'static Family,
    ) -> Option<Self> {
        redaction.map(|redaction| Self { redaction: Rc::clone(redaction), policy, family })
    }

    /// Whether content is exported at all.
    pub fn exports_content(&self) -> bool {
        self.policy.content != Content::Exclude
    }

    /// Whether detectors run on content.
    pub fn redacts(&self) -> bool {
        self.policy.content == Content::Redact
    }

    /// Redacts a request's body; `None` if it cannot be read. If it was cut, strings ending in an ellipsis lose
    /// an end that may begin a match.
    pub async fn request(&self, body: Vec<u8>, is_cut: bool, counts: &mut Counts) -> Option<Vec<u8>> {
        self.json(body, self.family.request_fields, is_cut, counts).await
    }

    /// Redacts a response's body in the same way.
    pub async fn response(&self, body: Vec<u8>, is_cut: bool, counts: &mut Counts) -> Option<Vec<u8>> {
        self.json(body, self.family.response_fields, is_cut, counts).await
    }

    /// Redacts tool call arguments: JSON of any shape, or plain text.
    pub async fn arguments(&self, arguments: &mut String, is_cut: bool, counts: &mut Counts) {
        match self.json(arguments.as_bytes().to_vec(), Fields::NONE, is_cut, counts).await {
            Some(json) => *arguments = String::from_utf8(json).unwrap_or_default(),
            None => self.text(arguments, is_cut, counts).await,
        }
    }

    /// Redacts keys and values of entries; a key is context for its value.
    pub async fn entries(&self, entries: &mut BTreeMap<String, String>, counts: &mut Counts) {
        if entries.is_empty() || self.policy.detectors.is_empty() {
            return;
        }
        let json = serde_json::to_vec(entries).unwrap_or_default();
        let redacted = self.json(json, Fields::NONE, false, counts).await;
        *entries = redacted.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    }

    async fn json(
        &self,
        body: Vec<u8>,
        fields: Fields,
        is_cut: bool,
        counts: &mut Counts,
    ) -> Option<Vec<u8>> {
        if self.policy.detectors.is_empty() {
            return Some(body);
        }
        let mut replacement = self.replacement();
        let (detectors, set) = (&*self.redaction.detectors, self.policy.detectors);
        let strict = self.policy.detectors;
        let search = Search { detectors, set, strict, fields, except: &[], is_cut };
        let redacted = search.redact_in_slices(&body, &mut replacement).await.ok()?;
        counts.merge(&redacted.counts);
        match redacted.body {
            std::borrow::Cow::Owned(other) => Some(other),
            std::borrow::Cow::Borrowed(_) => Some(body),
        }
    }

    /// Redacts a text. A text that was cut loses an end that may begin a match.
    pub async fn text(&self, text: &mut String, is_cut: bool, counts: &mut Counts) {
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
        let set = self.policy.detectors;
        let redacted = detectors.redact_in_slices(set, text, &mut replacement, counts).await;
        if let std::borrow::Cow::Owned(other) = redacted {
            *text = other;
        }
    }

    fn replacement(&self) -> Replacement {
        self.redaction.replacement(self.policy.replacement)
    }

    /// Returns the matches, as events report them.
    pub fn reported(&self, counts: &Counts) -> Vec<v1::Redaction> {
        self.redaction.reported(counts, v1::RedactedFor::Export)
    }
}

/// Members of a body that grow with a conversation.
const CONVERSATIONS: [&str; 3] = ["messages", "input", "contents"];

/// Numbers the values that follow the conversation in a body first. Providers read tools and instructions
/// before the conversation, wherever they stand in the body; numbered last, they would get new placeholders
/// with each turn, and no prompt cache would hit.
async fn number_in_order_of_the_prompt(search: &Search<'_>, object: &Object<'_>, restorer: &mut Restorer) {
    let is_conversation = |key: &str| CONVERSATIONS.contains(&key);
    let behind = object.iter().skip_while(|(key, _)| !is_conversation(key));
    for (key, value) in behind.filter(|(key, _)| !is_conversation(key)) {
        search.show(key, value.raw, restorer).await;
    }
}

/// Whether a request opts out of exporting its content: the strictest of all that its headers say.
fn asks_for_exclusion(headers: &Headers) -> bool {
    // Each value of each such header, and what is none that is known: who sends the header wants less to be exported.
    let keeps = |value: &[u8]| value.trim_ascii().is_empty() || value.trim_ascii().eq_ignore_ascii_case(KEEP);
    let excludes = headers
        .all(WEIR_CONTENT)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|value| !keeps(value));
    let disables = |value: &[u8]| {
        let config = serde_json::from_slice::<serde_json::Value>(value);
        // One that cannot be read may have said so.
        config.map_or(true, |config| {
            config.get("enabled").is_some_and(|enabled| enabled.as_bool() != Some(true))
        })
    };
    excludes || headers.all(TFY_LOGGING).any(disables)
}
