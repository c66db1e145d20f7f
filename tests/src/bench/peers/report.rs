//! What was measured of the gateways, as a table for people and as JSON for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    bench::gateway::{kind::Kind, load::AtRate, report::Saturated},
    measure::statistics::{Spread, round},
};

/// How long the published method's provider takes.
pub const THINKS: Duration = Duration::from_millis(73);

/// One gateway with many streams at once.
#[derive(Clone, Copy, Debug)]
pub struct Streamed {
    /// Until the first token, in ms.
    pub first_token_ms: Spread,
    /// CPU time of its process for each chunk that reached a caller, in µs.
    pub chunk_cpu_us: Spread,
}

/// One gateway at one of the published method's rates.
#[derive(Clone, Copy, Debug)]
pub struct AtRates {
    /// Requests that were due in all rounds.
    pub due: usize,
    /// Those that were answered by 200 in time.
    pub answered: usize,
    /// Latency over the provider's, in ms; of a gateway that does not carry the rate a lower bound.
    pub p50_ms: Spread,
    /// The same of the 99th of 100.
    pub p99_ms: Spread,
}

impl AtRates {
    /// Of these rounds.
    pub fn of(rounds: &[AtRate]) -> Self {
        let over = THINKS.as_secs_f64() * 1e3;
        Self {
            due: rounds.iter().map(|round| round.due).sum(),
            answered: rounds.iter().map(|round| round.answered).sum(),
            p50_ms: Spread::of(rounds.iter().map(|round| round.latencies.p50 - over).collect()),
            p99_ms: Spread::of(rounds.iter().map(|round| round.latencies.p99 - over).collect()),
        }
    }

    fn carried(&self) -> bool {
        self.answered == self.due
    }
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of what was compared, by name.
    pub versions: Vec<(&'static str, String)>,
    /// By prompt size.
    pub throughput: Vec<(&'static str, Vec<(Kind, Saturated)>)>,
    /// None of one that could not carry them in time.
    pub streams: Vec<(Kind, Option<Streamed>)>,
    /// By requests a second.
    pub rates: Vec<(u32, OfRate)>,
}

/// Of each gateway; without one: of the provider alone.
pub type OfRate = Vec<(Option<Kind>, AtRates)>;

impl Report {
    /// `versions`, `throughput.{size}.{gateway}`, `streams.{gateway}`, `provider_73ms.{rate}.{gateway}`.
    pub fn json(&self) -> Value {
        let throughput = self.throughput.iter().map(|(size, it)| {
            let of = |(kind, figures): &(Kind, Saturated)| {
                let figures = json!({
                    "rps": round(figures.rps.median, 1),
                    "rps_min": round(figures.rps.min, 1),
                    "rps_max": round(figures.rps.max, 1),
                    "cpu_us": round(figures.cpu_us.median, 1),
                    "ratio": round(ratio(it, figures), 4),
                });
                (kind.name(), figures)
            };
            (*size, it.iter().map(of).collect::<Value>())
        });
        let streamed = |it: Streamed| {
            json!({
                "first_token_ms": round(it.first_token_ms.median, 2),
                "chunk_cpu_us": round(it.chunk_cpu_us.median, 1),
            })
        };
        let streams = self.streams.iter().map(|(kind, it)| (kind.name(), it.map(streamed)));
        let at = |(kind, at): &(Option<Kind>, AtRates)| {
            let figures = json!({
                "due": at.due,
                "answered": at.answered,
                "added_p50_ms": round(at.p50_ms.median, 3),
                "added_p99_ms": round(at.p99_ms.median, 3),
            });
            (name(*kind), figures)
        };
        let rates =
            self.rates.iter().map(|(rate, it)| (rate.to_string(), it.iter().map(at).collect::<Value>()));
        json!({
            "versions": self.versions.iter().cloned().collect::<Value>(),
            "throughput": throughput.collect::<Value>(),
            "streams": streams.collect::<Value>(),
            "provider_73ms": rates.collect::<Value>(),
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut lines: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name:<9}{version}")).collect();
        lines.push(String::new());
        lines.push(format!(
            "{:<8}{:<9}{:>26}{:>8}{:>16}",
            "prompt", "", "requests/s", "ratio", "CPU us/request"
        ));
        for (size, it) in &self.throughput {
            for (kind, figures) in it {
                let rps = figures.rps;
                let shown = format!("{:.0} ({:.0}-{:.0})", rps.median, rps.min, rps.max);
                lines.push(format!(
                    "{size:<8}{:<9}{shown:>26}{:>8.3}{:>16.0}",
                    kind.name(),
                    ratio(it, figures),
                    figures.cpu_us.median
                ));
            }
        }
        lines.push(String::new());
        lines.push(format!("{:<17}{:>26}{:>24}", "streams", "first token, ms", "CPU us/chunk"));
        for (kind, it) in &self.streams {
            lines.push(match it {
                Some(it) => {
                    let (first, cpu) = (it.first_token_ms.median, it.chunk_cpu_us.median);
                    format!("{:<17}{first:>26.2}{cpu:>24.1}", kind.name())
                }
                None => format!("{:<17}{:>26}", kind.name(), "not carried in time"),
            });
        }
        lines.push(String::new());
        let head = format!("over {} ms, added", THINKS.as_millis());
        lines.push(format!(
            "{head:<17}{:>12}{:>14}{:>14}{:>18}",
            "requests/s", "p50, ms", "p99, ms", "answered"
        ));
        for (rate, it) in &self.rates {
            for (kind, at) in it {
                let bound = if at.carried() { "" } else { ">" };
                let ms = |it: Spread| format!("{bound}{:.2}", it.median);
                let answered = format!("{} of {}", at.answered, at.due);
                lines.push(format!(
                    "{:<17}{rate:>12}{:>14}{:>14}{answered:>18}",
                    name(*kind),
                    ms(at.p50_ms),
                    ms(at.p99_ms)
                ));
            }
        }
        lines.join("\n")
    }
}

/// Against bare Envoy.
fn ratio(all: &[(Kind, Saturated)], one: &Saturated) -> f64 {
    let bare = all.iter().find(|(kind, _)| *kind == Kind::Bare).map_or(f64::NAN, |(_, bare)| bare.rps.median);
    one.rps.median / bare
}

fn name(kind: Option<Kind>) -> &'static str {
    kind.map_or("provider", Kind::name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::gateway::load::Latencies;

    #[test]
    fn latencies_are_reported_over_the_providers_and_as_a_bound_where_not_all_was_carried() {
        let round =
            |answered, p50| AtRate { due: 10, answered, latencies: Latencies { p50, p99: p50 + 1.0 } };
        let at = AtRates::of(&[round(10, 74.0), round(9, 75.0), round(10, 74.5)]);
        assert!((at.p50_ms.median - 1.5).abs() < 1e-9 && (at.p99_ms.median - 2.5).abs() < 1e-9);
        let spread = Spread::of(vec![100.0]);
        let figures = Saturated { rps: spread, cpu_us: spread };
        let slow = Saturated { rps: Spread::of(vec![5.0]), ..figures };
        let report = Report {
            versions: vec![("weir", "0".to_owned())],
            throughput: vec![("1KB", vec![(Kind::Bare, figures), (Kind::LiteLlm, slow)])],
            streams: vec![(Kind::LiteLlm, None)],
            rates: vec![(300, vec![(None, at), (Some(Kind::LiteLlm), at)])],
        };
        let (json, table) = (report.json(), report.table());
        assert_eq!(json["throughput"]["1KB"]["litellm"]["ratio"], 0.05);
        assert_eq!(json["provider_73ms"]["300"]["provider"]["answered"], 29);
        assert!(json["streams"]["litellm"].is_null());
        assert!(table.contains("not carried in time") && table.contains(">1.50"), "{table}");
    }
}
