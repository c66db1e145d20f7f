//! The command line: every flag also by environment variable, secrets by environment variable or file only.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use weir_settings::{Size, Time};

use crate::{
    config::{Config, wire::PageListen},
    process::logging::LogFormat,
};

/// Which part of the exporter a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

const SECRETS: &str = "\
Every field of exporter.yaml can be set by environment, its parts joined by two underscores:
  WEIR_EXPORTER__STREAM__MAX_BYTES=1GiB   is stream.max_bytes
Without destinations in exporter.yaml the environment says where spans go:
  MW_API_KEY, MW_TENANT         ship to https://<tenant>.middleware.io
  MW_TARGET                     a base URL in place of the tenant's
  OTEL_EXPORTER_OTLP_ENDPOINT   ship to any OTLP endpoint (v1/traces is appended for HTTP)
  OTEL_EXPORTER_OTLP_{TRACES,METRICS}_ENDPOINT   the same of one signal, used as it is
  OTEL_EXPORTER_OTLP_{,TRACES_,METRICS_}{PROTOCOL,HEADERS,TIMEOUT,COMPRESSION,CERTIFICATE,CLIENT_KEY,CLIENT_CERTIFICATE}
Without any destination each trace is printed to standard output as a tree.
Metrics are pushed beside the traces, and are always at /metrics:
  OTEL_METRICS_EXPORTER         none: push nothing
  OTEL_METRIC_EXPORT_INTERVAL   milliseconds between two pushes (60000)
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE   cumulative, or delta
  OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT   the longest value of a span's attribute, in characters
  OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES   the resource that spans belong to
  WEIR_PAGE_TOKEN               what the page asks for at its login; needed unless --page-listen is loopback
  WEIR_SETTINGS_KEY             what secrets that are entered on the page are sealed with (settings-key new)
  WEIR_INGEST_TOKEN             what callers of ingest must present; needed unless --listen is loopback";

/// Takes trace events from the Weir gateway, keeps them in NATS JetStream, ships OpenTelemetry spans.
#[derive(Parser)]
#[command(name = "weir-exporter", version = weir_event::VERSION, after_help = SECRETS)]
pub struct Cli {
    /// What to do; without any, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Flags of every command.
    #[command(flatten)]
    pub flags: Flags,
}

impl Cli {
    /// The part that the command concerns.
    pub fn role(&self) -> Role {
        match self.command {
            Some(Command::Ingest) => Role::Ingest,
            Some(Command::Ship) => Role::Ship,
            _ => Role::Run,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run both parts (the default).
    Run,
    /// Run the part that takes batches of events and stores them in JetStream.
    Ingest,
    /// Run the part that reads events from JetStream and delivers spans.
    Ship,
    /// Check the configuration and say what it comes to.
    Check,
    /// Send one labelled trace to a destination and say what came back.
    TestDestination {
        /// Its name in the configuration.
        name: String,
    },
    /// Ask a running exporter whether it is ready, and fail where it is not: for health checks.
    Ready,
    /// Say how a running exporter is: ready, backlogs, rates, ledgers.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at events that a destination refused, send them again, or delete them.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Delete the consumer of a destination that is no more, and give up its backlog.
    RemoveDestination {
        /// Its name.
        name: String,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
    /// Make a key that secrets of the page are sealed with, or seal them anew.
    #[command(subcommand)]
    SettingsKey(SettingsKey),
    /// Print the JSON schema of exporter.yaml, for editors.
    Schema,
}

/// What to do with the keys that secrets of the page are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum SettingsKey {
    /// Print a new key, for WEIR_SETTINGS_KEY or a file that settings.key names.
    New,
    /// Seal anew, by the first key, what another one sealed.
    Reseal,
}

/// What to do with dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DeadLetters {
    /// List them, the oldest first.
    List {
        /// Only those of this destination.
        #[arg(long)]
        destination: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one.
    Show {
        /// Its number.
        number: u64,
        /// With what was said, which is left out otherwise.
        #[arg(long)]
        content: bool,
    },
    /// Send them to their destination again, under a new id.
    Replay {
        /// Those of this destination.
        #[arg(long, required_unless_present = "number", conflicts_with = "number")]
        destination: Option<String>,
        /// This one.
        number: Option<u64>,
    },
    /// Delete them for good.
    Purge {
        /// Those of this destination.
        #[arg(long, required_unless_present = "number", conflicts_with = "number")]
        destination: Option<String>,
        /// This one.
        number: Option<u64>,
        /// Really.
        #[arg(long)]
        yes: bool,
    },
}

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// The configuration, a YAML file; read anew on SIGHUP and when it changes.
    #[arg(long, env = "WEIR_CONFIG", global = true)]
    pub config: Option<PathBuf>,

    /// NATS servers, separated by commas; a user and password may be part of a URL.
    #[arg(long, env = "WEIR_NATS_URL", hide_env_values = true, global = true)]
    pub nats_url: Option<String>,

    /// Where the gateway posts batches of events [default: 127.0.0.1:4319].
    #[arg(long, env = "WEIR_INGEST_LISTEN", global = true)]
    pub listen: Option<SocketAddr>,

    /// Where /healthz, /readyz, /metrics and /status are served [default: 127.0.0.1:4320].
    #[arg(long, env = "WEIR_ADMIN_LISTEN", global = true)]
    pub admin_listen: Option<SocketAddr>,

    /// Where the page is served [default: 127.0.0.1:4321], or off.
    #[arg(long, env = "WEIR_PAGE_LISTEN", global = true)]
    pub page_listen: Option<PageListen>,

    /// How many bytes the stream may hold [default: 10 GiB].
    #[arg(long, env = "WEIR_STREAM_MAX_BYTES", value_parser = clap::value_parser!(u64).range(1 << 20..), global = true)]
    pub stream_max_bytes: Option<u64>,

    /// How many NATS servers keep a copy of the stream [default: 1].
    #[arg(long, env = "WEIR_STREAM_REPLICAS", value_parser = clap::value_parser!(u8).range(1..=5), global = true)]
    pub replicas: Option<u8>,

    /// Print each trace as a tree even where another destination is set.
    #[arg(long, env = "WEIR_CONSOLE", value_parser = clap::builder::FalseyValueParser::new(), global = true)]
    pub console: bool,

    /// The service that the spans belong to [default: weir-gateway].
    #[arg(long, global = true)]
    pub service_name: Option<String>,

    /// How many events go into one POST at most [default: 512].
    #[arg(long, env = "WEIR_BATCH_EVENTS", value_parser = clap::value_parser!(u32).range(1..=4096), global = true)]
    pub batch_events: Option<u32>,

    /// How long a batch waits for more events, in milliseconds [default: 200].
    #[arg(long, env = "WEIR_BATCH_DELAY_MS", value_parser = clap::value_parser!(u64).range(1..=60_000), global = true)]
    pub batch_delay_ms: Option<u64>,

    /// A YAML file of prices by model, over those that come with the exporter.
    #[arg(long, env = "WEIR_PRICES", value_name = "FILE", global = true)]
    pub prices: Option<String>,

    /// What a log line looks like [default: text].
    #[arg(long, env = "WEIR_LOG_FORMAT", value_enum, global = true)]
    pub log_format: Option<LogFormat>,
}

impl Flags {
    /// Lays what is given over a configuration.
    pub(crate) fn lay_over(&self, config: &mut Config) {
        fn over<T: Clone>(flag: &Option<T>, field: &mut Option<T>) {
            if flag.is_some() {
                field.clone_from(flag);
            }
        }
        over(&self.nats_url, &mut config.nats.url);
        over(&self.listen, &mut config.ingest.listen);
        over(&self.admin_listen, &mut config.admin.listen);
        over(&self.page_listen, &mut config.page.listen);
        over(&self.stream_max_bytes.map(Size), &mut config.stream.max_bytes);
        over(&self.replicas, &mut config.stream.replicas);
        over(&self.service_name, &mut config.service_name);
        over(&self.batch_events, &mut config.batch.events);
        let delay = self.batch_delay_ms.map(|ms| Time(std::time::Duration::from_millis(ms)));
        over(&delay, &mut config.batch.delay);
        // An empty variable counts as unset.
        let prices = self.prices.as_deref().filter(|file| !file.is_empty());
        over(&prices.map(PathBuf::from), &mut config.prices);
        over(&self.log_format, &mut config.log_format);
    }
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
        assert!(cli.role().ingests() && cli.role().ships());
        let cli = Cli::parse_from(["weir-exporter", "ship", "--batch-events", "7"]);
        assert!(!cli.role().ingests() && cli.role().ships());
        assert_eq!(cli.flags.batch_events, Some(7));
        let cli = Cli::parse_from(["weir-exporter", "--batch-events", "7", "ingest"]);
        assert_eq!((cli.role(), cli.flags.batch_events), (Role::Ingest, Some(7)));
    }
}
