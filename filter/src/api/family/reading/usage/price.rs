//! What a response says of its price: the cost, where the provider reports it, and the words that say at which of its
//! prices the tokens are billed.

use std::collections::BTreeMap;

use weir_event::v1;

use crate::json::scan::{Kind, Object, Value};

/// Most price terms that are stored, and the longest of them in bytes.
const MARKS_MAX: usize = 8;
const MARK_MAX: usize = 64;
/// Members of a usage that say at which price it is billed: Anthropic's speed and place, the tier of most, and
/// Vertex' provisioned throughput.
const USAGE_MARKS: [&str; 6] =
    ["speed", "inference_geo", "service_tier", "serviceTier", "trafficType", "traffic_type"];
/// Members of the response itself that do.
const RESPONSE_MARKS: [&str; 2] = ["service_tier", "serviceTier"];
/// Where providers report the cost in US dollars: OpenRouter and others, DeepInfra.
const COSTS: [&str; 3] = ["cost", "cost_usd", "estimated_cost"];
/// The cost of Perplexity's, among that of its parts.
const COST_IN_ALL: &str = "total_cost";
/// xAI's cost, and how many of its ticks are a dollar (xAI API, "Cost tracking").
const TICKS: &str = "cost_in_usd_ticks";
const TICKS_PER_DOLLAR: f64 = 1e10;

/// The price terms read so far.
#[derive(Debug, Default)]
pub(crate) struct Price {
    cost_usd: Option<f64>,
    marks: BTreeMap<String, String>,
}

impl Price {
    /// Reads a usage that stands at this path in the response.
    pub(crate) fn read(&mut self, path: &str, usage: &Object<'_>) {
        self.cost_usd = cost(usage).or(self.cost_usd);
        for name in USAGE_MARKS {
            self.mark(path, name, usage);
        }
    }

    /// Reads the response's own price terms.
    pub(crate) fn read_response(&mut self, response: &Object<'_>) {
        for name in RESPONSE_MARKS {
            self.mark("", name, response);
        }
    }

    /// How many bytes are held.
    pub(crate) fn held(&self) -> usize {
        self.marks.iter().map(|(path, mark)| path.len() + mark.len()).sum()
    }

    /// Puts what is known into a usage.
    pub(crate) fn put_into(&self, usage: &mut v1::Usage) {
        usage.cost_usd = self.cost_usd;
        usage.price_marks.clone_from(&self.marks);
    }

    fn mark(&mut self, path: &str, name: &str, object: &Object<'_>) {
        let Some(word) = object.get(name).and_then(|value| value.as_str()).filter(|word| is_word(word))
        else {
            return;
        };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if self.marks.len() < MARKS_MAX || self.marks.contains_key(&path) {
            self.marks.insert(path, word.into_owned());
        }
    }
}

/// The cost in US dollars. Of what OpenRouter has billed to a key of the caller's own it bills only its fee, and reports
/// the rest apart.
fn cost(usage: &Object<'_>) -> Option<f64> {
    if let Some(ticks) = usage.get(TICKS).and_then(|ticks| amount(&ticks)) {
        return Some(ticks / TICKS_PER_DOLLAR);
    }
    let in_all = |cost: Value<'_>| match cost.kind {
        Kind::Object => amount(&cost.as_object()?.get(COST_IN_ALL)?),
        _ => amount(&cost),
    };
    let cost = COSTS.iter().find_map(|name| in_all(usage.get(name)?))?;
    let is_own_key = usage.get("is_byok").and_then(|value| value.as_bool()).unwrap_or(false);
    let upstream = usage.get("cost_details").and_then(|details| details.as_object()).unwrap_or_default();
    let upstream = upstream.get("upstream_inference_cost").filter(|_| is_own_key);
    Some(cost + upstream.and_then(|cost| amount(&cost)).unwrap_or(0.0))
}

/// An amount of money, also one in quotes.
fn amount(value: &Value<'_>) -> Option<f64> {
    let amount = match value.kind {
        Kind::Number => value.as_f64(),
        Kind::String => value.as_str()?.parse().ok(),
        _ => None,
    };
    amount.filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MARK_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(usage: &str) -> v1::Usage {
        let (mut price, mut read) = (Price::default(), v1::Usage::default());
        price.read("usage", &Object::parse(usage.as_bytes()).unwrap());
        price.put_into(&mut read);
        read
    }

    #[test]
    fn the_cost_is_read_wherever_a_provider_tells_it() {
        for (usage, cost) in [
            (r#"{"cost":0.0123,"cost_details":{"upstream_inference_cost":0.01}}"#, Some(0.0123)),
            (r#"{"cost":0.001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.01}}"#, Some(0.011)),
            (r#"{"cost":{"input_tokens_cost":0.1,"total_cost":0.25}}"#, Some(0.25)),
            (r#"{"cost_in_usd_ticks":37756000}"#, Some(0.003_775_6)),
            (r#"{"estimated_cost":1.5e-5}"#, Some(1.5e-5)),
            (r#"{"cost":"0.5"}"#, Some(0.5)),
            (r#"{"cost":0}"#, Some(0.0)),
            (r#"{"cost":-1}"#, None),
            (r#"{"cost":"much"}"#, None),
            (r#"{"cost":null}"#, None),
            (r#"{"cost":null,"estimated_cost":0.5}"#, Some(0.5)),
            (r#"{"cost":{"currency":"USD"},"cost_usd":0.25}"#, Some(0.25)),
            (r#"{}"#, None),
        ] {
            let told = read(usage).cost_usd;
            assert!(
                told == cost || told.zip(cost).is_some_and(|(told, cost)| (told - cost).abs() < 1e-12),
                "{usage}: {told:?}"
            );
        }
    }

    #[test]
    fn the_words_of_a_price_are_kept_by_their_path_and_sentences_are_not() {
        let usage = read(
            r#"{"speed":"fast","inference_geo":"us","service_tier":"no word at all","serviceTier":"PRIORITY","other":"x"}"#,
        );
        let marks: Vec<_> =
            usage.price_marks.iter().map(|(path, word)| (path.as_str(), word.as_str())).collect();
        let expected =
            [("usage.inference_geo", "us"), ("usage.serviceTier", "PRIORITY"), ("usage.speed", "fast")];
        assert_eq!(marks, expected);
    }
}
