//! A span's attributes, put together: what is empty or unknown is left out, what is over a limit is counted.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use serde::Serialize;

use super::shorten;

/// How many attributes a span may have (`OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`'s default).
pub(in crate::spans) const MAX_ATTRIBUTES: usize = 128;

/// Room that is reserved for what every span of a profile carries, and for `error.type`.
pub(in crate::spans) const HEAD: usize = 4;

/// Attributes in the order they were added; the first ones are the last to go.
#[derive(Debug, Default)]
pub(in crate::spans) struct Attributes {
    list: Vec<KeyValue>,
    dropped: usize,
    value_limit: Option<usize>,
}

impl Attributes {
    /// Attributes whose values may have so many characters.
    pub(in crate::spans) fn new(value_limit: Option<usize>) -> Self {
        Self { value_limit, ..Self::default() }
    }

    /// A text, unless it is empty.
    pub(in crate::spans) fn text(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        if !value.is_empty() {
            self.push(name, Value::StringValue(value));
        }
        self
    }

    /// Texts, unless there is none.
    pub(in crate::spans) fn texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        self.array(name, values.iter().map(|value| Value::StringValue(value.clone())))
    }

    /// Counts, unless there is none.
    pub(in crate::spans) fn counts(&mut self, name: &str, values: impl Iterator<Item = u64>) -> &mut Self {
        self.array(name, values.map(|value| Value::IntValue(capped(value))))
    }

    /// A count; one beyond OTLP's range is its largest.
    pub(in crate::spans) fn count(&mut self, name: &str, value: impl Into<Option<u64>>) -> &mut Self {
        self.integer(name, value.into().map(capped))
    }

    /// A count, unless it is 0.
    pub(in crate::spans) fn some_count(&mut self, name: &str, value: impl Into<u64>) -> &mut Self {
        let value = value.into();
        self.count(name, (value > 0).then_some(value))
    }

    /// A whole number.
    pub(in crate::spans) fn integer(&mut self, name: &str, value: impl Into<Option<i64>>) -> &mut Self {
        if let Some(value) = value.into() {
            self.push(name, Value::IntValue(value));
        }
        self
    }

    /// A number, unless it is none that can be compared.
    pub(in crate::spans) fn number(&mut self, name: &str, value: Option<f64>) -> &mut Self {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.push(name, Value::DoubleValue(value));
        }
        self
    }

    /// A flag, only where it is set.
    pub(in crate::spans) fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        if value {
            self.push(name, Value::BoolValue(true));
        }
        self
    }

    /// A list as JSON, unless it is empty. Over the limit of a value it is shortened and still JSON.
    pub(in crate::spans) fn json<T: Serialize>(&mut self, name: &str, list: &[T]) -> &mut Self {
        if list.is_empty() {
            return self;
        }
        match shorten::json(list, self.value_limit) {
            Some(json) => self.text(name, json),
            None => self.leave_out(1),
        }
    }

    /// Attributes as they are.
    pub(in crate::spans) fn add(&mut self, attributes: Vec<KeyValue>) -> &mut Self {
        self.list.extend(attributes);
        self
    }

    /// How many more there is room for.
    pub(in crate::spans) fn room(&self) -> usize {
        MAX_ATTRIBUTES.saturating_sub(HEAD).saturating_sub(self.list.len())
    }

    /// Counts attributes that there was no room for.
    pub(in crate::spans) fn leave_out(&mut self, count: usize) -> &mut Self {
        self.dropped = self.dropped.saturating_add(count);
        self
    }

    /// All attributes within the limits, these at the head of them, and how many were left out.
    pub(in crate::spans) fn finish(self, mut head: Vec<KeyValue>) -> (Vec<KeyValue>, u32) {
        head.extend(self.list);
        let over = head.len().saturating_sub(MAX_ATTRIBUTES);
        head.truncate(MAX_ATTRIBUTES);
        if let Some(limit) = self.value_limit {
            for value in head.iter_mut().filter_map(|attribute| attribute.value.as_mut()) {
                cut(value, limit);
            }
        }
        (head, u32::try_from(self.dropped.saturating_add(over)).unwrap_or(u32::MAX))
    }

    fn array(&mut self, name: &str, values: impl Iterator<Item = Value>) -> &mut Self {
        let values: Vec<_> = values.map(any).collect();
        if !values.is_empty() {
            self.push(name, Value::ArrayValue(ArrayValue { values }));
        }
        self
    }

    fn push(&mut self, name: &str, value: Value) {
        self.list.push(pair(name, value));
    }
}

/// One attribute.
pub(in crate::spans) fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn capped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Cuts a text, and each text of an array, to so many characters (OpenTelemetry, "Attribute Limits").
fn cut(value: &mut AnyValue, limit: usize) {
    match &mut value.value {
        Some(Value::StringValue(text)) => shorten::text(text, limit),
        Some(Value::ArrayValue(array)) => {
            for item in &mut array.values {
                if let Some(Value::StringValue(text)) = &mut item.value {
                    shorten::text(text, limit);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_left_out_from_the_end_and_counted() {
        let mut attributes = Attributes::default();
        for number in 0..200_u64 {
            attributes.count("n", number);
        }
        attributes.leave_out(3);
        let (list, dropped) = attributes.finish(vec![pair("head", Value::BoolValue(true))]);
        assert_eq!((list.len(), dropped), (MAX_ATTRIBUTES, 76));
        assert_eq!(list[0].key, "head");
        assert_eq!(list[1].value, Some(any(Value::IntValue(0))));
    }

    #[test]
    fn a_value_has_so_many_characters_and_not_bytes() {
        let mut attributes = Attributes::new(Some(3));
        attributes.text("a", "äöüß").texts("b", &["longer".to_owned()]).text("c", "abc");
        let (list, dropped) = attributes.finish(Vec::new());
        assert_eq!(dropped, 0);
        assert_eq!(list[0].value, Some(any(Value::StringValue("äöü".to_owned()))));
        let values = vec![any(Value::StringValue("lon".to_owned()))];
        assert_eq!(list[1].value, Some(any(Value::ArrayValue(ArrayValue { values }))));
        assert_eq!(list[2].value, Some(any(Value::StringValue("abc".to_owned()))));
    }
}
