//! The counts as an OTLP request (OpenTelemetry protocol, `ExportMetricsServiceRequest`). Pure.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Histogram as OtlpHistogram, HistogramDataPoint, Metric, ResourceMetrics,
        ScopeMetrics, metric::Data,
    },
    resource::v1::Resource,
};

use prost::Message as _;

use super::{
    aggregate::{Aggregate, Histogram, Series},
    instrument::Instrument,
    labels::Labels,
};
use weir_event::VERSION;

use crate::{config::wire::Protocol, otlp::EncodeError, spans::resource::Attributes};

/// The scope that all metrics are in.
const SCOPE: &str = "weir";

/// Which time counts belong to.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// When counting began; with delta temporality, the end of the last request that was taken.
    pub start: SystemTime,
    /// When the counts were taken.
    pub end: SystemTime,
    /// Whether counts are since the start of the process or since the last request.
    pub temporality: AggregationTemporality,
}

/// A request that carries these counts under one resource and one scope.
pub fn request(resource: &Attributes, counts: &Aggregate, period: Period) -> ExportMetricsServiceRequest {
    let attributes = resource.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| KeyValue {
        key: name.clone(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    });
    let resource = Some(Resource { attributes: attributes.collect(), ..Resource::default() });
    let scope = Some(InstrumentationScope {
        name: SCOPE.to_owned(),
        version: VERSION.to_owned(),
        ..Default::default()
    });
    let metrics =
        counts.instruments().map(|(instrument, series)| metric(instrument, series, period)).collect();
    let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// The request as it is sent, before it is compressed. [`EncodeError`] does not happen: all in it is JSON.
pub fn body(request: &ExportMetricsServiceRequest, protocol: Protocol) -> Result<Vec<u8>, EncodeError> {
    match protocol {
        Protocol::HttpJson => Ok(serde_json::to_vec(request)?),
        Protocol::HttpProtobuf | Protocol::Grpc => Ok(request.encode_to_vec()),
    }
}

fn metric(instrument: Instrument, series: &Series, period: Period) -> Metric {
    let points = series.iter().map(|(labels, histogram)| point(instrument, labels, histogram, period));
    let histogram =
        OtlpHistogram { data_points: points.collect(), aggregation_temporality: period.temporality.into() };
    Metric {
        name: instrument.name().to_owned(),
        description: instrument.description().to_owned(),
        unit: instrument.unit().to_owned(),
        data: Some(Data::Histogram(histogram)),
        ..Metric::default()
    }
}

fn point(
    instrument: Instrument,
    labels: &Labels,
    histogram: &Histogram,
    period: Period,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: labels.to_otlp(),
        start_time_unix_nano: nanoseconds(period.start),
        time_unix_nano: nanoseconds(period.end),
        count: histogram.count,
        sum: Some(histogram.sum),
        bucket_counts: histogram.buckets.clone(),
        explicit_bounds: instrument.bounds().to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{metrics::genai::GenAi, spans::fixture::streamed};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_sent_is_decoded_to_what_was_counted() {
        let counts = GenAi::new(at(100));
        counts.count(&streamed());
        let period =
            Period { start: counts.started(), end: at(160), temporality: AggregationTemporality::Cumulative };
        let resource = Attributes::from(
            [("service.name", "svc"), ("empty", "")].map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let request = request(&resource, &counts.snapshot(), period);
        let json = body(&request, Protocol::HttpJson).unwrap();
        assert_eq!(serde_json::from_slice::<ExportMetricsServiceRequest>(&json).unwrap(), request);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let first = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["histogram"];
        assert_eq!(first["dataPoints"][0]["timeUnixNano"], "160000000000", "{json:#}");
        assert!(
            first["aggregationTemporality"].is_number() && first["dataPoints"][0]["bucketCounts"].is_array()
        );
        let sent = body(&request, Protocol::HttpProtobuf).unwrap();
        let request = ExportMetricsServiceRequest::decode(sent.as_slice()).unwrap();

        let [of_resource] = &request.resource_metrics[..] else { panic!() };
        let attributes = &of_resource.resource.as_ref().unwrap().attributes;
        assert_eq!(attributes.iter().map(|pair| pair.key.as_str()).collect::<Vec<_>>(), ["service.name"]);
        let [of_scope] = &of_resource.scope_metrics[..] else { panic!() };
        assert_eq!(of_scope.scope.as_ref().unwrap().version, VERSION);
        let told: Vec<_> = of_scope.metrics.iter().map(|m| (m.name.as_str(), m.unit.as_str())).collect();
        assert_eq!(
            told,
            [
                ("gen_ai.client.token.usage", "{token}"),
                ("gen_ai.client.operation.duration", "s"),
                ("gen_ai.client.operation.time_to_first_chunk", "s"),
                ("gen_ai.client.operation.time_per_output_chunk", "s"),
            ]
        );
        let Some(Data::Histogram(chunks)) = &of_scope.metrics[3].data else { panic!() };
        assert_eq!(chunks.aggregation_temporality(), AggregationTemporality::Cumulative);
        let [point] = &chunks.data_points[..] else { panic!() };
        assert_eq!((point.count, point.sum), (8, Some(0.6)));
        assert_eq!(point.bucket_counts, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(point.explicit_bounds[..3], [0.01, 0.02, 0.04]);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (100_000_000_000, 160_000_000_000));
        let port = point.attributes.iter().find(|pair| pair.key == "server.port").unwrap();
        assert_eq!(port.value.as_ref().unwrap().value, Some(Value::IntValue(443)));
    }

    #[test]
    fn the_overflow_is_a_flag() {
        let labels = Labels::overflow().to_otlp();
        assert_eq!(labels[0].key, "otel.metric.overflow");
        assert_eq!(labels[0].value.as_ref().unwrap().value, Some(Value::BoolValue(true)));
    }
}
