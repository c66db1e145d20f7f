//! The kinds of providers, by their names in the configuration.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, VariantAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::api::call::{Call, is_model_name};
use crate::api::family::provider::{Destination, Provider, Settings};
use crate::api::{Api, FAMILIES, Family};

/// What is encoded in a segment: all but the unreserved characters (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The names of all kinds.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| Kind::all().map(|kind| kind.provider.name).collect());

/// The kind of a provider: which API it speaks, and how.
#[derive(Clone, Copy)]
pub struct Kind {
    family: &'static Family,
    provider: &'static Provider,
}

impl Kind {
    /// Every kind, family by family.
    pub fn all() -> impl Iterator<Item = Self> {
        FAMILIES
            .into_iter()
            .flat_map(|family| family.providers.iter().map(move |provider| Self { family, provider }))
    }

    /// The kind that a call means by its path alone.
    pub fn of(call: &Call) -> Option<Self> {
        let family = call.api.family;
        let fitting = family.providers.iter().filter(|it| call.route.starts_with(it.route_prefix));
        let provider = fitting.max_by_key(|provider| provider.route_prefix.len())?;
        Some(Self { family, provider })
    }

    /// The family of the API that it speaks.
    pub fn family(self) -> &'static Family {
        self.family
    }

    /// The `gen_ai.provider.name` (OpenTelemetry GenAI conventions v1.41).
    pub fn provider_name(self) -> &'static str {
        self.provider.provider_name
    }

    /// The version that is part of its URL and not of an operation's path; empty where none is.
    pub fn version_in_url(self) -> &'static str {
        self.provider.version_in_url
    }

    /// Whether a call of this API can go to a provider of this kind. Nothing is translated.
    pub fn serves(self, api: Api) -> bool {
        api.family == self.family && !self.provider.lacks.contains(&api.operation.event)
    }

    /// The path and query of a call at the provider, `prefix` being that of its URL. `None`
    /// where it does not serve the call, or where `model` cannot be a model's name.
    pub fn path(self, call: &Call, prefix: &str, model: &str, settings: &Settings) -> Option<String> {
        if let Some(passed) = &call.passed {
            return Some(format!("{prefix}{}", (self.provider.passed_path)(passed)));
        }
        if !self.serves(call.api) || !is_model_name(model) {
            return None;
        }
        (self.provider.path)(&Destination {
            operation: call.api.operation,
            route: call.route,
            query: call.query,
            prefix,
            segment: utf8_percent_encode(model, SEGMENT),
            settings,
        })
    }

    /// Whether the provider takes the model from the path. Where it does not, the body must name
    /// it, also where the caller's did not; where it does, a body that names one is kept in step.
    pub fn takes_model_from_path(self, api: Api, settings: &Settings) -> bool {
        api.family == self.family && (self.provider.takes_model_from_path)(api.operation, settings)
    }

    /// The model as a body names it at the provider.
    pub fn name_in_body(self, api: Api, model: &str) -> Cow<'_, str> {
        match self.family.model_prefix {
            prefix if api.family == self.family && !prefix.is_empty() => {
                Cow::Owned(format!("{prefix}{model}"))
            }
            _ => Cow::Borrowed(model),
        }
    }

    /// Whether a provider can be asked for the usage of a stream (`stream_options.include_usage`), and has to
    /// be: not those that are known to send it anyway, some of which refuse members that they do not know.
    pub fn is_asked_for_usage(self, host: &str, settings: &Settings) -> bool {
        (self.provider.is_asked_for_usage)(host, settings)
    }

    /// The header that carries the provider's key, and what precedes the key in it.
    pub fn auth_header(self) -> (&'static str, &'static str) {
        self.provider.auth_header
    }

    /// Headers that a provider wants, for calls that do not bring them.
    pub fn fixed_headers(self) -> &'static [(&'static str, &'static str)] {
        self.provider.fixed_headers
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.provider.name == other.provider.name
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.provider.name)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.provider.name)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Kind", &NAMES, Name)
    }
}

/// Reads a kind as the variant of an enum, so that an error has its place.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kind of a provider")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Kind, E> {
        let found = Kind::all().find(|kind| kind.provider.name == name);
        found.ok_or_else(|| E::unknown_variant(name, &NAMES))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Kind, A::Error> {
        let (kind, variant) = access.variant_seed(self)?;
        variant.unit_variant()?;
        Ok(kind)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let kinds: Vec<_> = Self::all()
            .map(|Self { provider, .. }| {
                serde_json::json!({
                    "const": provider.name, "description": provider.description, "type": "string",
                })
            })
            .collect();
        schemars::json_schema!({
            "description": "The kind of a provider: which API it speaks, and how.",
            "oneOf": kinds,
        })
    }
}
