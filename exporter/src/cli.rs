//! The command line: every flag also by environment variable, secrets by environment variable only.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

use crate::logging::LogFormat;

/// Which part of the exporter a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Both parts.
    Run,
    /// Takes batches of events and stores them in JetStream.
    Ingest,
    /// Reads events from JetStream and delivers spans.
    Ship,
}

impl Role {
    /// Whether this process takes events.
    pub fn ingests(self) -> bool {
        self != Self::Ship
    }

    /// Whether this process delivers spans.
    pub fn ships(self) -> bool {
        self != Self::Ingest
    }
}

/// The service that spans belong to where nobody names another.
pub const DEFAULT_SERVICE: &str = "weir-gateway";

const SECRETS: &str = "\
Secrets and destinations come from the environment only:
  WEIR_INGEST_TOKEN             what callers of ingest must present; needed unless --listen is loopback
  MW_API_KEY, MW_TENANT         ship to https://<tenant>.middleware.io
  MW_TARGET                     a base URL in place of the tenant's
  OTEL_EXPORTER_OTLP_ENDPOINT   ship to any OTLP/HTTP endpoint (v1/traces is appended)
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT   the same, used as it is
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT  where metrics are pushed, used as it is; else v1/metrics beside v1/traces
  OTEL_METRIC_EXPORT_INTERVAL          milliseconds between two pushes of metrics (60000)
  OTEL_METRICS_EXPORTER                none: push no metrics; /metrics is always there
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE   cumulative, or delta
  OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS   key=value,key=value
Without any destination each trace is printed to standard output as a tree.";

/// Takes trace events from the Weir gateway, keeps them in NATS JetStream, ships OpenTelemetry spans.
#[derive(Parser)]
#[command(name = "weir-exporter", version, after_help = SECRETS)]
pub struct Cli {
    /// Which part to run.
    #[arg(value_enum, default_value = "run")]
    pub role: Role,

    /// NATS servers, separated by commas; a user and password may be part of a URL.
    #[arg(long, env = "WEIR_NATS_URL", default_value = "nats://127.0.0.1:4222", hide_env_values = true)]
    pub nats_url: String,

    /// Where the gateway posts batches of events.
    #[arg(long, env = "WEIR_INGEST_LISTEN", default_value = "127.0.0.1:4319")]
    pub listen: SocketAddr,

    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "WEIR_ADMIN_LISTEN", default_value = "127.0.0.1:4320")]
    pub admin_listen: SocketAddr,

    /// How many bytes the stream may hold; the oldest events go first.
    #[arg(long, env = "WEIR_STREAM_MAX_BYTES", default_value_t = 10 << 30, value_parser = clap::value_parser!(i64).range(1 << 20..))]
    pub stream_max_bytes: i64,

    /// How many NATS servers keep a copy of the stream.
    #[arg(long, env = "WEIR_STREAM_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub replicas: u8,

    /// Print each trace as a tree even where another destination is set.
    #[arg(long, env = "WEIR_CONSOLE", value_parser = clap::builder::FalseyValueParser::new())]
    pub console: bool,

    /// The service that the spans belong to.
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = DEFAULT_SERVICE)]
    pub service_name: String,

    /// How many events go into one POST at most.
    #[arg(long, env = "WEIR_BATCH_EVENTS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch_events: u32,

    /// How long a batch waits for more events, in milliseconds.
    #[arg(long, env = "WEIR_BATCH_DELAY_MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub batch_delay_ms: u64,

    /// A YAML file of prices by model, over those that come with the exporter.
    #[arg(long, env = "WEIR_PRICES", value_name = "FILE")]
    pub prices: Option<String>,

    /// What a log line looks like.
    #[arg(long, env = "WEIR_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_role_both_parts_run() {
        let cli = Cli::parse_from(["weir-exporter"]);
        assert!(cli.role.ingests() && cli.role.ships());
        let cli = Cli::parse_from(["weir-exporter", "ship", "--batch-events", "7"]);
        assert!(!cli.role.ingests() && cli.role.ships());
        assert_eq!(cli.batch_events, 7);
    }
}
