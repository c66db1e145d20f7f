//! A label set: the attributes that distinguish the series of an instrument.
//!
//! Texts come from callers and providers, so each is cut at a length; how many sets there may be is bounded
//! where they are stored.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

/// The attribute of the one set that takes what no longer has a set of its own (OpenTelemetry metrics SDK
/// specification, "Overflow attribute").
pub const OVERFLOW: &str = "otel.metric.overflow";

/// Characters of a text that are used.
const MAX_TEXT: usize = 128;

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Value {
    Text(Box<str>),
    Whole(u32),
    Flag(bool),
}

/// Attributes in the order they were added, which is the same for all sets of an instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(&'static str, Value)>);

impl Labels {
    /// The set that takes the rest.
    pub fn overflow() -> Self {
        Self(vec![(OVERFLOW, Value::Flag(true))])
    }

    /// With a text, unless it is empty.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            let cut: String = value.chars().take(MAX_TEXT).collect();
            self.0.push((name, Value::Text(cut.into())));
        }
        self
    }

    /// With a whole number, unless it is 0.
    #[must_use]
    pub fn whole(mut self, name: &'static str, value: u32) -> Self {
        if value > 0 {
            self.0.push((name, Value::Whole(value)));
        }
        self
    }

    /// As OTLP attributes.
    pub(super) fn to_otlp(&self) -> Vec<KeyValue> {
        let attribute = |(name, value): &(&'static str, Value)| {
            let value = match value {
                Value::Text(text) => any_value::Value::StringValue(text.to_string()),
                Value::Whole(number) => any_value::Value::IntValue((*number).into()),
                Value::Flag(flag) => any_value::Value::BoolValue(*flag),
            };
            let value = Some(AnyValue { value: Some(value) });
            KeyValue { key: (*name).to_owned(), value, ..KeyValue::default() }
        };
        self.0.iter().map(attribute).collect()
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, value) in &self.0 {
            let name = name.replace('.', "_");
            match value {
                Value::Text(text) => (name, &**text).encode(encoder.encode_label())?,
                Value::Whole(number) => (name, *number).encode(encoder.encode_label())?,
                Value::Flag(flag) => (name, *flag).encode(encoder.encode_label())?,
            }
        }
        Ok(())
    }
}
