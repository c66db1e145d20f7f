//! Byte-exact edits of a JSON body: the model's name, and the parameters that a target sets or caps.
//!
//! Only changed values are rewritten; a missing member is inserted after the body's first brace. All other
//! bytes stay as the caller wrote them. Keys match in any case, since some servers read them so, and none may
//! bypass a cap that way.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Number, Value as Json};

use crate::json::scan::{Kind, Object, Value};

/// Members that only the gateway may set.
const RESERVED: [&str; 3] = ["model", "stream", "stream_options"];
/// Two names of one parameter (OpenAI API reference, "Chat"). Servers refuse a body with both.
const ALIASES: [(&str, &str); 2] =
    [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")];
/// Suffixes of parameters for which some servers read a negative number as "no limit".
const UNLIMITED_BELOW_ZERO: [&str; 2] = ["tokens", "predict"];

/// Why parameters cannot be set or capped. The name is from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Only the gateway may set it.
    #[error("{0:?} cannot be set or capped: the gateway decides on it")]
    Reserved(String),
    /// It occurs twice, perhaps in different case.
    #[error("{0:?} is given twice; set it or cap it, once")]
    Twice(String),
}

/// A target's changes to parameters, prepared at load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Vec<Param>);

#[derive(Clone, Debug, PartialEq)]
struct Param {
    key: String,
    alias: Option<&'static str>,
    /// The value as JSON.
    json: String,
    is_cap: bool,
}

impl Params {
    /// Parameters to set, and numbers to cap.
    pub fn new(set: &BTreeMap<String, Json>, cap: &BTreeMap<String, Number>) -> Result<Self, ParamError> {
        let set = set.iter().map(|(key, value)| (key, value.to_string(), false));
        let cap = cap.iter().map(|(key, number)| (key, number.to_string(), true));
        let mut params: Vec<Param> = Vec::new();
        for (key, json, is_cap) in set.chain(cap) {
            if RESERVED.iter().any(|reserved| same_key(reserved, key)) {
                return Err(ParamError::Reserved(key.clone()));
            }
            if params.iter().any(|param| same_key(&param.key, key)) {
                return Err(ParamError::Twice(key.clone()));
            }
            params.push(Param { key: key.clone(), alias: None, json, is_cap });
        }
        for (name, other) in ALIASES {
            if !params.iter().any(|param| param.key == other)
                && let Some(param) = params.iter_mut().find(|param| param.key == name)
            {
                param.alias = Some(other);
            }
        }
        Ok(Self(params))
    }

    /// Whether nothing is set or capped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Param {
    /// Whether a member is this parameter, and whether it is spelt exactly so.
    fn names(&self, key: &str) -> Option<bool> {
        let names = [Some(self.key.as_str()), self.alias];
        let mut names = names.into_iter().flatten().filter(|name| same_key(name, key));
        names.next().map(|name| name == key)
    }

    /// Whether the caller's value must be replaced.
    fn overrules(&self, value: Value<'_>) -> bool {
        if !self.is_cap {
            return true;
        }
        // Some servers read null as "no limit", and a string as the number in it.
        if value.kind != Kind::Number {
            return true;
        }
        if value.raw.starts_with('-') && UNLIMITED_BELOW_ZERO.iter().any(|end| self.key.ends_with(end)) {
            return true;
        }
        if let (Ok(value), Ok(cap)) = (value.raw.parse::<i128>(), self.json.parse::<i128>()) {
            return value > cap;
        }
        match (value.as_f64(), self.json.parse::<f64>()) {
            (Some(value), Ok(cap)) => value > cap,
            _ => true,
        }
    }
}

/// The model's name at a provider, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct ModelEdit<'a> {
    /// The name as a JSON string, quotes included.
    pub json: &'a str,
    /// Where names occur in the body, including quotes.
    pub at: &'a [Range<usize>],
    /// Whether to insert it into a body without one.
    pub required: bool,
}

/// The edit that makes a stream report its usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageEdit {
    /// Replaces a range by a text.
    Replace(Range<usize>, String),
    /// Inserts a member into the body.
    Insert(String),
}

/// A target's changes to a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The model.
    pub model: Option<ModelEdit<'a>>,
    /// The parameters.
    pub params: Option<&'a Params>,
    /// The request for usage.
    pub usage: Option<&'a UsageEdit>,
}

/// The edits of one body, found while it was buffered. They suffice to compute the new length, and to rewrite
/// the body from its head alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyEdits {
    /// Sorted, without overlaps.
    edits: Vec<(Range<usize>, String)>,
}

impl BodyEdits {
    /// Creates edits that are sorted and do not overlap.
    pub fn of(edits: Vec<(Range<usize>, String)>) -> Self {
        Self { edits }
    }

    /// Finds the changes to `body`, whose members are in `object`.
    pub fn new(body: &[u8], object: &Object<'_>, edits: &Edits<'_>) -> Self {
        let mut plan = Self::default();
        let mut inserted: Vec<String> = Vec::new();
        if let Some(model) = edits.model {
            for place in model.at {
                plan.replace(body, place.clone(), model.json);
            }
            if model.at.is_empty() && model.required {
                inserted.push(format!("\"model\":{}", model.json));
            }
        }
        for param in edits.params.map(|params| params.0.as_slice()).unwrap_or_default() {
            let mut is_there = false;
            for (key, value) in object.iter() {
                let Some(is_exact) = param.names(key) else { continue };
                is_there |= is_exact;
                if param.overrules(value) {
                    plan.replace(body, value.range(), &param.json);
                }
            }
            if !is_there {
                inserted.push(format!("{}:{}", Json::from(param.key.as_str()), param.json));
            }
        }
        match edits.usage {
            Some(UsageEdit::Replace(place, text)) => plan.edits.push((place.clone(), text.clone())),
            Some(UsageEdit::Insert(member)) => inserted.push(member.clone()),
            None => {}
        }
        plan.insert(body, &inserted, object.iter().next().is_none());
        // Of nested edits, the outer one applies.
        plan.edits.sort_by_key(|(place, _)| (place.start, Reverse(place.end)));
        let mut end = 0;
        plan.edits.retain(|(place, _)| {
            let is_free = place.start >= end;
            end = end.max(place.end);
            is_free
        });
        plan
    }

    fn replace(&mut self, body: &[u8], place: Range<usize>, json: &str) {
        if body.get(place.clone()) != Some(json.as_bytes()) {
            self.edits.push((place, json.to_owned()));
        }
    }

    fn insert(&mut self, body: &[u8], members: &[String], into_empty: bool) {
        let Some(brace) = memchr::memchr(b'{', body) else { return };
        let mut text = members.join(",");
        if text.is_empty() {
            return;
        }
        if !into_empty {
            text.push(',');
        }
        self.edits.push((brace + 1..brace + 1, text));
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        let texts: usize = self.edits.iter().map(|(_, text)| text.capacity()).sum();
        texts + self.edits.capacity() * Self::overhead()
    }

    /// Bytes that an edit takes beside its text.
    pub fn overhead() -> usize {
        /// What the allocator adds to a text.
        const ALLOCATION: usize = 16;
        size_of::<(Range<usize>, String)>() + ALLOCATION
    }

    /// Whether the body is unchanged.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Length of the head that contains all changes.
    pub fn end(&self) -> usize {
        self.edits.last().map_or(0, |(place, _)| place.end)
    }

    /// Returns the new length of a body of `length` bytes.
    pub fn length(&self, length: usize) -> usize {
        let removed: usize = self.edits.iter().map(|(place, _)| place.len()).sum();
        let added: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        length.saturating_sub(removed).saturating_add(added)
    }

    /// Rewrites a body, or a head of it of at least [`end`](Self::end) bytes; `None` if there are fewer.
    pub fn rewrite(&self, head: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.length(head.len()));
        let mut at = 0;
        for (place, text) in &self.edits {
            out.extend_from_slice(head.get(at..place.start)?);
            out.extend_from_slice(text.as_bytes());
            at = place.end;
        }
        out.extend_from_slice(head.get(at..)?);
        Some(out)
    }
}

/// Returns the edited body; `None` if nothing changes.
pub fn apply(body: &[u8], object: &Object<'_>, edits: &Edits<'_>) -> Option<Vec<u8>> {
    let plan = BodyEdits::new(body, object, edits);
    if plan.is_empty() { None } else { plan.rewrite(body) }
}

/// Whether two keys are equal when folded as in [`Object::ambiguous_keys`].
pub fn same_key(one: &str, other: &str) -> bool {
    fn fold(key: &str) -> impl Iterator<Item = char> {
        key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
    }
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    fold(one).eq(fold(other))
}
