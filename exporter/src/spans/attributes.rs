//! A span's attributes, put together: what is empty or unknown is left out.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};

/// Attributes in the order they were added.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<KeyValue>);

impl Attributes {
    /// A text, unless it is empty.
    pub(super) fn text(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        if !value.is_empty() {
            self.0.push(pair(name, Value::StringValue(value)));
        }
        self
    }

    /// Texts, unless there is none.
    pub(super) fn texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        if !values.is_empty() {
            let values = values.iter().map(|value| any(Value::StringValue(value.clone()))).collect();
            self.0.push(pair(name, Value::ArrayValue(ArrayValue { values })));
        }
        self
    }

    /// A count; one beyond OTLP's range is its largest.
    pub(super) fn count(&mut self, name: &str, value: impl Into<Option<u64>>) -> &mut Self {
        if let Some(value) = value.into() {
            self.integer(name, i64::try_from(value).unwrap_or(i64::MAX));
        }
        self
    }

    /// A count, unless it is 0.
    pub(super) fn some_count(&mut self, name: &str, value: impl Into<u64>) -> &mut Self {
        let value = value.into();
        self.count(name, (value > 0).then_some(value))
    }

    /// A whole number.
    pub(super) fn integer(&mut self, name: &str, value: impl Into<Option<i64>>) -> &mut Self {
        if let Some(value) = value.into() {
            self.0.push(pair(name, Value::IntValue(value)));
        }
        self
    }

    /// A number, unless it is none that can be compared.
    pub(super) fn number(&mut self, name: &str, value: Option<f64>) -> &mut Self {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.0.push(pair(name, Value::DoubleValue(value)));
        }
        self
    }

    /// A flag, only where it is set.
    pub(super) fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        if value {
            self.0.push(pair(name, Value::BoolValue(true)));
        }
        self
    }
}

/// One attribute.
pub(super) fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}
