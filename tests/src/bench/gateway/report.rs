//! What was measured, as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::{kind::Kind, load::Latencies};
use crate::measure::statistics::{Spread, round};

/// One gateway under as much load as goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saturated {
    /// Requests a second.
    pub rps: Spread,
    /// CPU time of its process for each request, in µs.
    pub cpu_us: Spread,
}

impl Saturated {
    /// Of these rounds: requests a second, µs for each request.
    pub fn of(rounds: &[(f64, f64)]) -> Self {
        let (rps, cpu_us) = rounds.iter().copied().unzip();
        Self { rps: Spread::of(rps), cpu_us: Spread::of(cpu_us) }
    }
}

/// Each kind of gateway under as much load as goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throughput([Saturated; Kind::OURS.len()]);

impl Throughput {
    /// Of these rounds of each kind, as [`Saturated::of`] takes them.
    pub fn of_rounds(rounds: &[(Kind, (f64, f64))]) -> Self {
        Self(Kind::OURS.map(|kind| {
            let mine = rounds.iter().filter(|(other, _)| *other == kind).map(|(_, round)| *round);
            Saturated::of(&mine.collect::<Vec<_>>())
        }))
    }

    /// Those of one kind.
    pub fn of(&self, kind: Kind) -> Saturated {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    fn ratio(&self, kind: Kind) -> f64 {
        self.of(kind).rps.median / self.of(Kind::Bare).rps.median
    }

    fn json(&self) -> Value {
        let cpu = |kind: Kind| (kind.name(), round(self.of(kind).cpu_us.median, 1));
        json!({
            "bare_rps": self.of(Kind::Bare).rps.median.round(),
            "noop_rps": self.of(Kind::Noop).rps.median.round(),
            "weir_rps": self.of(Kind::Weir).rps.median.round(),
            "ratio": round(self.ratio(Kind::Weir), 3),
            "noop_ratio": round(self.ratio(Kind::Noop), 3),
            "cpu_us": Kind::OURS.map(cpu).into_iter().collect::<Value>(),
        })
    }
}

/// At half of what Weir carries.
#[derive(Clone, Copy, Debug)]
pub struct HalfLoad {
    /// Requests a second.
    pub rate: f64,
    bare: (Spread, Spread),
    weir: (Spread, Spread),
}

impl HalfLoad {
    /// Of these rounds.
    pub fn of(rate: f64, rounds: &[(Kind, Latencies)]) -> Self {
        let of = |kind: Kind| {
            let mine = || rounds.iter().filter(move |round| round.0 == kind);
            let (p50, p99) = (mine().map(|round| round.1.p50), mine().map(|round| round.1.p99));
            (Spread::of(p50.collect()), Spread::of(p99.collect()))
        };
        Self { rate, bare: of(Kind::Bare), weir: of(Kind::Weir) }
    }
}

/// Many streams at once.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// So many.
    pub concurrent: usize,
    /// Until the first token, bare, in ms.
    pub bare_first_token_ms: f64,
    /// The same with Weir.
    pub weir_first_token_ms: f64,
    /// The difference.
    pub added_first_token_ms: f64,
    /// CPU time of bare Envoy for one more chunk, in µs.
    pub bare_chunk_us: f64,
    /// CPU time that Weir adds to it, in µs.
    pub added_chunk_us: f64,
}

/// What is used after all that.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Linear memory of the worker's wasm VM, in MiB.
    pub wasm_mib: f64,
    /// Resident memory of Envoy, in MiB.
    pub envoy_rss_mib: f64,
}

/// What became of the trace events: load that saturates one core makes more than the other core,
/// shared with the load itself, may be able to ship.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    /// By the filter's count.
    pub created: f64,
    /// Those that the exporter took.
    pub accepted: f64,
    /// Those that gave way in the outbox, counted.
    pub dropped: f64,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Summary {
    /// By prompt size.
    pub throughput: Vec<(&'static str, Throughput)>,
    /// The smallest prompts, by how many requests are under way at once.
    pub concurrency: Vec<(usize, Throughput)>,
    /// See [`HalfLoad`].
    pub half_load: HalfLoad,
    /// See [`Stream`].
    pub stream: Stream,
    /// See [`Memory`].
    pub memory: Memory,
    /// See [`Events`].
    pub events: Events,
}

impl Summary {
    /// For programs.
    pub fn json(&self) -> Value {
        let throughput: Value = self.throughput.iter().map(|(size, it)| (*size, it.json())).collect();
        let concurrency = self.concurrency.iter().map(|(many, it)| (many.to_string(), it.json()));
        let HalfLoad { rate, bare, weir } = &self.half_load;
        json!({
            "throughput": throughput,
            "concurrency": concurrency.collect::<Value>(),
            "half_load": {
                "rate_rps": rate.round(),
                "added_p50_ms": round(weir.0.median - bare.0.median, 3),
                "added_p99_ms": round(weir.1.median - bare.1.median, 3),
                "bare_p50_ms": round(bare.0.median, 3),
                "bare_p99_ms": round(bare.1.median, 3),
            },
            "stream": {
                "concurrent": self.stream.concurrent,
                "added_first_token_ms": round(self.stream.added_first_token_ms, 3),
                "bare_chunk_us": round(self.stream.bare_chunk_us, 1),
                "added_chunk_us": round(self.stream.added_chunk_us, 1),
            },
            "memory": {
                "wasm_mib": round(self.memory.wasm_mib, 1),
                "envoy_rss_mib": round(self.memory.envoy_rss_mib, 1),
            },
            "events": {
                "created": self.events.created,
                "accepted": self.events.accepted,
                "dropped_outbox_full": self.events.dropped,
            },
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<12}{:<7}{:>22}{:>8}{:>22}",
            "prompt", "", "requests/s", "ratio", "CPU us/request"
        )];
        let spread = |it: Spread, digits: usize| {
            format!("{:.digits$} ({:.digits$}-{:.digits$})", it.median, it.min, it.max)
        };
        let many = self.concurrency.iter().map(|(many, it)| (format!("{many} at 1KB"), it));
        let sizes = self.throughput.iter().map(|(size, it)| ((*size).to_owned(), it));
        for (size, it) in sizes.chain(many) {
            for kind in Kind::OURS {
                let (rps, cpu) = (spread(it.of(kind).rps, 0), spread(it.of(kind).cpu_us, 1));
                lines.push(format!("{size:<12}{:<7}{rps:>22}{:>8.3}{cpu:>22}", kind.name(), it.ratio(kind)));
            }
        }
        let HalfLoad { rate, bare, weir } = &self.half_load;
        lines.push(String::new());
        lines.push(format!("at {rate:.0} requests/s{:>16}{:>16}{:>16}", "bare", "weir", "added"));
        for (name, bare, weir) in [("p50, ms", bare.0, weir.0), ("p99, ms", bare.1, weir.1)] {
            let added = weir.median - bare.median;
            lines.push(format!("{name:<22}{:>16.3}{:>16.3}{added:>16.3}", bare.median, weir.median));
        }
        let it = &self.stream;
        lines.push(format!(
            "{:<22}{:>16.3}{:>16.3}{:>16.3}",
            format!("{} streams: first token, ms", it.concurrent),
            it.bare_first_token_ms,
            it.weir_first_token_ms,
            it.added_first_token_ms
        ));
        lines.push(format!(
            "one more chunk: {:.1} us of CPU bare, and {:.1} that Weir adds",
            it.bare_chunk_us, it.added_chunk_us
        ));
        lines.push(format!(
            "memory: {:.1} MiB in the wasm VM, {:.1} MiB resident in Envoy",
            self.memory.wasm_mib, self.memory.envoy_rss_mib
        ));
        let Events { created, accepted, dropped } = self.events;
        lines.push(format!(
            "events: {created} created, {accepted} accepted by the exporter, {dropped} dropped and counted"
        ));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_against_the_bare_gateway() {
        let rounds = [
            (Kind::Bare, (100.0, 10.0)),
            (Kind::Noop, (90.0, 11.0)),
            (Kind::Weir, (60.0, 15.0)),
            (Kind::Weir, (70.0, 16.0)),
        ];
        let it = Throughput::of_rounds(&rounds);
        assert!((it.ratio(Kind::Weir) - 0.6).abs() < 1e-9 && (it.ratio(Kind::Noop) - 0.9).abs() < 1e-9);
        assert_eq!((it.of(Kind::Weir).rps.min, it.of(Kind::Weir).rps.max), (60.0, 70.0));
    }
}
