//! Metrics as a test wants to read them: flat, from what was pushed by OTLP and from what `/metrics` shows.
//!
//! Made from the decoded OTLP message and from the text alone, so what is here was in the bytes.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{AggregationTemporality, metric::Data},
};
use serde_json::Value;

use crate::{callers::client, telemetry::spans::by_key};

/// One series of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The metric's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The attributes by key.
    pub attributes: BTreeMap<String, Value>,
    /// The resource's attributes by key.
    pub resource: BTreeMap<String, Value>,
    /// How many values there were.
    pub count: u64,
    /// All of them added up.
    pub sum: f64,
    /// How many values each bucket holds.
    pub buckets: Vec<u64>,
    /// Unix nanoseconds.
    pub start_ns: u64,
    /// Unix nanoseconds.
    pub end_ns: u64,
    /// Whether counts are since the start or since the last push.
    pub temporality: AggregationTemporality,
}

/// Every point of an export, in its order. Panics when a metric is no histogram: there are no others yet.
pub fn flatten(export: &ExportMetricsServiceRequest) -> Vec<Point> {
    let mut points = Vec::new();
    for of_resource in &export.resource_metrics {
        let resource = of_resource.resource.as_ref().map(|resource| by_key(&resource.attributes));
        for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let Some(Data::Histogram(histogram)) = &metric.data else { panic!("no histogram: {metric:?}") };
            points.extend(histogram.data_points.iter().map(|point| Point {
                name: metric.name.clone(),
                unit: metric.unit.clone(),
                attributes: by_key(&point.attributes),
                resource: resource.clone().unwrap_or_default(),
                count: point.count,
                sum: point.sum.unwrap_or(f64::NAN),
                buckets: point.bucket_counts.clone(),
                start_ns: point.start_time_unix_nano,
                end_ns: point.time_unix_nano,
                temporality: histogram.aggregation_temporality(),
            }));
        }
    }
    points
}

/// One line of OpenMetrics text that is no comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name, suffix included.
    pub name: String,
    /// The labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// Every sample of OpenMetrics text. Reads values of labels without escapes only. Panics when a line is none of
/// OpenMetrics text, or the text does not end as it should.
pub fn samples(text: &str) -> Vec<Sample> {
    assert!(text.ends_with("# EOF\n"), "the end is missing: {text}");
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect(line);
    let labels = labels.split_terminator("\",").map(|label| {
        let (name, value) = label.trim_end_matches('"').split_once("=\"").expect(line);
        (name.to_owned(), value.to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().expect(line) }
}

/// What an exporter shows at `/metrics` on this port of 127.0.0.1.
pub async fn scrape(port: u16) -> String {
    let response = client::http().get(format!("http://127.0.0.1:{port}/metrics")).send().await;
    response.expect("an answer").text().await.expect("text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_samples() {
        let found = samples("# TYPE a counter\na_total{x=\"1, 2\",y=\"z\"} 3\nb 0.5\n# EOF\n");
        let [a, b] = &found[..] else { panic!("{found:?}") };
        assert_eq!((a.name.as_str(), a.value, a.labels.len()), ("a_total", 3.0, 2));
        assert_eq!(a.labels.get("x").map(String::as_str), Some("1, 2"));
        assert_eq!((b.name.as_str(), b.value, b.labels.len()), ("b", 0.5, 0));
    }
}
