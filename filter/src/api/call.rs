//! Which API a request calls, and which model its path names.
//!
//! Paths are compared byte by byte with the families' tables: no segment is resolved, merged or decoded before,
//! so there is one spelling for each, and nothing outside the tables is served. Only a model's
//! segment is decoded, and only after it was cut out.

use percent_encoding::percent_decode_str;

use crate::api::{Api, DEFAULT_FAMILY, FAMILIES, Family};
use crate::json::edit::same_key;
use crate::json::scan::{Object, Value};

/// Longest name of a model, in bytes.
pub const MODEL_NAME_MAX: usize = 256;
/// The method of every operation.
const METHOD: &str = "POST";

/// Why a request is none of the calls that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// The path is not in the table: 404.
    #[error("the path is none of those that this gateway serves")]
    UnknownPath,
    /// The path is, by another method: 405.
    #[error("this path takes {allow} only")]
    Method {
        /// The value of the `allow` header.
        allow: &'static str,
    },
    /// The model that stands in the path cannot be one: 400.
    #[error(
        "the model in the path must be 1 to {MODEL_NAME_MAX} bytes of percent-encoded UTF-8, without control \
         characters and without '.' or '..' as a part"
    )]
    Model,
}

/// A call of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation.
    pub api: Api,
    /// The `http.route`: the path with the name of its parameter in place of the model.
    pub route: &'static str,
    /// The model that the path names, decoded; `None` where only the body names one.
    pub model_in_path: Option<String>,
    /// What of the query goes on to a provider of the same API, its question mark included.
    pub query: &'static str,
    /// Path and query as they go on, where the call is passed through.
    pub passed: Option<String>,
}

impl Call {
    /// Finds the call by the method and by the `:path` header as received.
    pub fn of(method: &[u8], path_and_query: &str) -> Result<Self, NotServed> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let (route, api, segment) = routes()
            .find_map(|(route, api)| matches(route, path).map(|segment| (route, api, segment)))
            .ok_or(NotServed::UnknownPath)?;
        if method != METHOD.as_bytes() {
            return Err(NotServed::Method { allow: METHOD });
        }
        let model_in_path = segment.map(|raw| decode(raw).ok_or(NotServed::Model)).transpose()?;
        let forwarded = api.operation.query;
        let is_given =
            !forwarded.is_empty() && query.split('&').any(|pair| forwarded.strip_prefix('?') == Some(pair));
        let query = if is_given { forwarded } else { "" };
        Ok(Self { api, route, model_in_path, query, passed: None })
    }

    /// Every value of the body that some server could read as the model's name: `model` in any
    /// case, and that of each request within the body. Their places are by the text that `object` was read from.
    pub fn models_in_body<'a>(&self, object: &Object<'a>) -> Vec<Value<'a>> {
        let mut found: Vec<_> = models(object).collect();
        let nested = self.api.operation.nested;
        if !nested.is_empty() {
            let holders = object.iter().filter(|(key, _)| nested.iter().any(|name| same_key(name, key)));
            for (_, holder) in holders {
                let list = holder.as_array().unwrap_or_default().into_iter();
                let list = list.map(|item| Value { start: holder.start + item.start, ..item });
                for request in std::iter::once(holder).chain(list) {
                    let nested = request.as_object().unwrap_or_default();
                    found.extend(
                        models(&nested).map(|value| Value { start: request.start + value.start, ..value }),
                    );
                }
            }
        }
        found
    }

    /// Whether what the body names is what the path names. True where only the body names a model.
    pub fn path_agrees_with(&self, models_in_body: &[Value<'_>]) -> bool {
        let Some(in_path) = &self.model_in_path else { return true };
        let prefix = self.api.family.model_prefix;
        models_in_body.iter().all(|value| {
            value.as_str().is_some_and(|name| name.strip_prefix(prefix).unwrap_or(&name) == in_path)
        })
    }
}

/// The family whose API a path seems to mean, also where it is not served: for the shape of the error.
pub fn family_of(path: &str) -> &'static Family {
    FAMILIES.into_iter().find(|family| (family.claims)(path)).unwrap_or(DEFAULT_FAMILY)
}

/// Every path that is served, by its `http.route`.
pub(super) fn routes() -> impl Iterator<Item = (&'static str, Api)> {
    FAMILIES.into_iter().flat_map(|family| family.routes.iter().copied())
}

/// Whether a text can be a model's name, also as one segment of a path: 1 to [`MODEL_NAME_MAX`]
/// bytes, no control character, and no `.` or `..` between slashes, which a server that decodes
/// before it resolves would climb by.
pub fn is_model_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MODEL_NAME_MAX
        && !text.chars().any(char::is_control)
        && !text.split(['/', '\\']).any(|part| matches!(part, "." | ".."))
}

fn models<'a>(object: &Object<'a>) -> impl Iterator<Item = Value<'a>> {
    object.iter().filter(|(key, _)| same_key("model", key)).map(|(_, value)| value)
}

/// Whether a path is of this route, and the raw segment that stands for its parameter.
fn matches<'p>(route: &str, path: &'p str) -> Option<Option<&'p str>> {
    let Some((before, rest)) = route.split_once('{') else { return (route == path).then_some(None) };
    let (_, after) = rest.split_once('}')?;
    let raw = path.strip_prefix(before)?.strip_suffix(after)?;
    (!raw.is_empty() && !raw.contains('/')).then_some(Some(raw))
}

/// The name that a raw segment spells.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            // What a segment may hold (RFC 3986, "pchar"), but ';', which some servers cut at.
            b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
            | b'+' | b',' | b'=' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !allowed {
            return None;
        }
    }
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    is_model_name(&text).then(|| text.into_owned())
}
