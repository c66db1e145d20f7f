//! The counts at `/metrics`, named as OpenTelemetry's Prometheus compatibility specification says: dots
//! become underscores, seconds are a suffix, and a unit that is only an annotation is none.

use std::collections::HashMap;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};

use super::{counts::GenAi, instrument::Instrument};

/// There are none.
type Exemplars = HashMap<usize, Exemplar<NoLabelSet, f64>>;

impl Collector for GenAi {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (instrument, series) in self.snapshot().instruments() {
            let name = instrument.name().replace('.', "_");
            let unit = (instrument.unit() == "s").then_some(Unit::Seconds);
            let help = instrument.description();
            let mut family = encoder.encode_descriptor(&name, help, unit.as_ref(), MetricType::Histogram)?;
            for (labels, histogram) in series {
                let buckets: Vec<_> =
                    upper_bounds(instrument).zip(histogram.buckets.iter().copied()).collect();
                family.encode_family(labels)?.encode_histogram(
                    histogram.sum,
                    histogram.count,
                    &buckets,
                    None::<&Exemplars>,
                )?;
            }
        }
        Ok(())
    }
}

fn upper_bounds(instrument: Instrument) -> impl Iterator<Item = f64> {
    instrument.bounds().iter().copied().chain([f64::INFINITY])
}

#[cfg(test)]
mod tests {
    use crate::{
        metrics::{Metrics, genai::aggregate::MAX_LABEL_SETS},
        spans::fixture::{self, streamed},
    };

    #[test]
    fn an_operation_is_shown_by_the_names_of_the_conventions() {
        let metrics = Metrics::default();
        metrics.gen_ai.count(&streamed());
        let text = metrics.render().unwrap();
        let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",\
                      gen_ai_request_model=\"smart\",gen_ai_response_model=\"gpt-4o-2024-08-06\",\
                      server_address=\"api.openai.com\",server_port=\"443\"";
        for line in [
            "# TYPE gen_ai_client_token_usage histogram".to_owned(),
            format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"output\"}} 34.0"),
            format!("gen_ai_client_token_usage_count{{{labels},gen_ai_token_type=\"input\"}} 1"),
            format!("gen_ai_client_token_usage_bucket{{le=\"16.0\",{labels},gen_ai_token_type=\"input\"}} 1"),
            "# UNIT gen_ai_client_operation_duration_seconds seconds".to_owned(),
            format!("gen_ai_client_operation_duration_seconds_sum{{{labels}}} 0.7985"),
            format!("gen_ai_client_operation_duration_seconds_bucket{{le=\"0.64\",{labels}}} 0"),
            format!("gen_ai_client_operation_duration_seconds_bucket{{le=\"1.28\",{labels}}} 1"),
            format!("gen_ai_client_operation_duration_seconds_bucket{{le=\"+Inf\",{labels}}} 1"),
            format!("gen_ai_client_operation_time_to_first_chunk_seconds_count{{{labels}}} 1"),
            format!("gen_ai_client_operation_time_per_output_chunk_seconds_count{{{labels}}} 8"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
        assert!(text.contains("weir_exporter_bus_connected") && text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn labels_without_end_end_in_the_overflow_and_a_text_cannot_break_a_line() {
        let metrics = Metrics::default();
        for number in 0..MAX_LABEL_SETS + 10 {
            let mut event = streamed();
            event.sequence = u64::try_from(number).unwrap() + 1;
            event.attempts[0].host = format!("invented\n\"{number}");
            metrics.gen_ai.count(&event);
        }
        let text = metrics.render().unwrap();
        let counts =
            text.lines().filter(|l| l.starts_with("gen_ai_client_operation_duration_seconds_count{"));
        assert_eq!(counts.count(), MAX_LABEL_SETS);
        let overflow = "gen_ai_client_operation_duration_seconds_count{otel_metric_overflow=\"true\"} 11";
        assert!(text.lines().any(|line| line == overflow));
        assert!(text.contains(r#"server_address="invented\n\"1999""#) || text.contains(r#"invented\n\"0""#));
        assert!(text.lines().all(|line| line.starts_with(['#', 'g', 'w'])));
    }

    #[test]
    fn nothing_is_shown_before_the_first_event() {
        let metrics = Metrics::default();
        metrics.gen_ai.count(&fixture::rejected());
        assert!(!metrics.render().unwrap().contains("gen_ai_client"));
    }
}
