//! What is looked at every few seconds: memory, file descriptors, backlogs, and how requests fared meanwhile.

use std::{fmt::Write as _, fs, time::Duration};

use crate::measure::{cpu, statistics::quantile};

/// A moment of a run.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Minutes since the start.
    pub minutes: f64,
    /// A value for each of [`SERIES`].
    pub values: [f64; SERIES.len()],
}

/// A series: its name in the CSV, its title, and by how much it may rise in an hour, where that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Its name in the CSV.
    pub name: &'static str,
    /// Its title, with the unit.
    pub title: &'static str,
    /// How much its slope may be, in its unit an hour; `None`: it is shown and not judged.
    pub rise: Option<f64>,
}

const fn measure(name: &'static str, title: &'static str, rise: Option<f64>) -> Measure {
    Measure { name, title, rise }
}

/// What is measured, in the order of the CSV's columns.
pub const SERIES: [Measure; 12] = [
    measure("envoy_rss_mib", "Envoy, resident memory (MiB)", Some(4.0)),
    measure("exporter_rss_mib", "Exporter, resident memory (MiB)", Some(4.0)),
    measure("wasm_mib", "Wasm memory, all VMs (MiB)", Some(1.0)),
    measure("nats_rss_mib", "nats-server, resident memory (MiB)", None),
    measure("envoy_fds", "Envoy, file descriptors", Some(4.0)),
    measure("exporter_fds", "Exporter, file descriptors", Some(4.0)),
    measure("outbox_events", "Events in the outboxes", Some(50.0)),
    measure("backlog_events", "Events in the backlog", Some(50.0)),
    measure("requests_per_second", "Requests answered a second", None),
    measure("streams", "Requests under way in the filter", Some(10.0)),
    measure("chat_p50_ms", "Chats, p50 (ms)", None),
    measure("chat_p99_ms", "Chats, p99 (ms)", None),
];

/// A process's resident memory in MiB; 0 of one that is gone.
pub fn rss_mib(pid: u32) -> f64 {
    cpu::resident_bytes(pid).unwrap_or_default() / f64::from(1 << 20)
}

/// How many file descriptors a process holds; 0 of one that is gone.
pub fn fds(pid: u32) -> f64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0.0, |entries| entries.count() as f64)
}

/// How requests fared since the last sample.
#[derive(Clone, Debug, Default)]
pub struct Lap {
    /// Requests that were answered.
    pub answered: u64,
    /// How long chats in one piece took.
    pub chats: Vec<Duration>,
}

impl Lap {
    /// The median and the 99th percentile of chats, in ms.
    pub fn quantiles(&self) -> (f64, f64) {
        let mut times: Vec<f64> = self.chats.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        (quantile(&mut times, 0.5), quantile(&mut times, 0.99))
    }
}

/// The first line of the CSV.
pub fn header() -> String {
    SERIES.iter().fold("minutes".to_owned(), |mut line, series| {
        let _ = write!(line, ",{}", series.name);
        line
    })
}

impl Sample {
    /// Its line of the CSV.
    pub fn line(&self) -> String {
        self.values.iter().fold(format!("{:.3}", self.minutes), |mut line, value| {
            let _ = write!(line, ",{value:.2}");
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_descriptors() {
        assert!(rss_mib(std::process::id()) > 1.0 && fds(std::process::id()) >= 3.0);
        assert!(rss_mib(u32::MAX) == 0.0 && fds(u32::MAX) == 0.0);
    }

    #[test]
    fn a_line_has_a_field_for_each_series() {
        let line = Sample::default().line();
        assert_eq!(line.split(',').count(), header().split(',').count());
    }
}
