//! What the exporter runs with: flags and environment, checked once, before anything is started.
//!
//! A [`Settings`] that exists can be used as it is. Messages name the flag or variable and what would be
//! right, never a secret's value. An empty environment variable counts as unset.

use std::{fmt, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use async_nats::ServerAddr;

use crate::{
    cli::{Cli, DEFAULT_SERVICE, Role},
    destination::{self, DestinationSettings},
    env::{Env, NotUtf8, variable},
    genai::{PushSettings, PushSettingsError},
    prices::{Prices, PricesError},
    secret::Secret,
};

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable cannot be read.
    #[error(transparent)]
    Variable(#[from] NotUtf8),
    /// The NATS URL cannot be used.
    #[error(
        "--nats-url (WEIR_NATS_URL) must be one or more URLs such as nats://127.0.0.1:4222, separated by commas"
    )]
    NatsUrl,
    /// Ingest would be open to the network.
    #[error("WEIR_INGEST_TOKEN must be set because --listen {0} is not a loopback address")]
    TokenMissing(SocketAddr),
    /// The token cannot be sent in a header.
    #[error("WEIR_INGEST_TOKEN must be visible ASCII without spaces or line ends")]
    TokenShape,
    /// A destination's settings do not fit together.
    #[error(transparent)]
    Destination(#[from] destination::DestinationError),
    /// Where metrics go does not fit.
    #[error(transparent)]
    Push(#[from] PushSettingsError),
    /// The file of prices does not fit; the source says where.
    #[error("--prices (WEIR_PRICES)")]
    Prices(#[from] PricesError),
}

/// The NATS servers to connect to. Shown without user and password.
#[derive(Clone)]
pub struct NatsServers(pub Vec<ServerAddr>);

impl fmt::Display for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, server) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}:{}", server.host(), server.port())?;
        }
        Ok(())
    }
}

impl fmt::Debug for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the exporter connects to NATS and what it keeps there.
///
/// Further credentials (a credentials file, client certificates) belong here too.
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// Where NATS is.
    pub servers: NatsServers,
    /// How many bytes the stream may hold.
    pub max_bytes: i64,
    /// How many copies of the stream NATS keeps.
    pub replicas: usize,
}

/// How events are put together for one POST.
#[derive(Clone, Copy, Debug)]
pub struct BatchSettings {
    /// At most this many events.
    pub events: usize,
    /// How long a batch waits for more events.
    pub delay: Duration,
}

/// Everything the exporter runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which part this process is.
    pub role: Role,
    /// Where batches of events are taken.
    pub listen: SocketAddr,
    /// What callers of ingest must present; `None` only on loopback.
    pub token: Option<Secret>,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// NATS.
    pub bus: BusSettings,
    /// Batching.
    pub batch: BatchSettings,
    /// Where spans go; at least one where the role ships.
    pub destinations: Vec<DestinationSettings>,
    /// Where metrics go; nowhere unless the role ships.
    pub push: PushSettings,
}

impl Settings {
    /// Checks flags and environment.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], naming the flag or variable that does not fit.
    pub fn new(cli: &Cli, env: Env<'_>) -> Result<Self, SettingsError> {
        let token = variable(env, "WEIR_INGEST_TOKEN")?;
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(SettingsError::TokenShape);
        }
        if cli.role.ingests() && token.is_none() && !cli.listen.ip().is_loopback() {
            return Err(SettingsError::TokenMissing(cli.listen));
        }
        let (mut destinations, push) = if cli.role.ships() {
            // An empty OTEL_SERVICE_NAME counts as unset (OpenTelemetry, "Environment Variable Specification").
            let named = Some(cli.service_name.as_str()).filter(|name| !name.is_empty());
            let service_name = named.unwrap_or(DEFAULT_SERVICE);
            let destinations = destination::from_env(cli.console, service_name, env)?;
            let push = PushSettings::from_env(&destinations, service_name, env)?;
            (destinations, push)
        } else {
            Default::default()
        };
        // An empty variable counts as unset.
        if let Some(file) = cli.prices.as_deref().filter(|file| !file.is_empty()) {
            let prices = Prices::load(Path::new(file))?;
            for destination in &mut destinations {
                destination.view.prices = Arc::clone(&prices);
            }
        }
        Ok(Self {
            role: cli.role,
            listen: cli.listen,
            token: token.map(Secret::new),
            admin_listen: cli.admin_listen,
            bus: BusSettings {
                servers: servers(&cli.nats_url)?,
                max_bytes: cli.stream_max_bytes,
                replicas: usize::from(cli.replicas),
            },
            batch: BatchSettings {
                events: usize::try_from(cli.batch_events).unwrap_or(usize::MAX),
                delay: Duration::from_millis(cli.batch_delay_ms),
            },
            destinations,
            push,
        })
    }
}

fn servers(urls: &str) -> Result<NatsServers, SettingsError> {
    let servers = urls
        .split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .map(|url| url.parse::<ServerAddr>().map_err(|_| SettingsError::NatsUrl))
        .collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() { Err(SettingsError::NatsUrl) } else { Ok(NatsServers(servers)) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser as _;

    use super::*;

    fn settings(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let cli = Cli::parse_from(std::iter::once(&"weir-exporter").chain(arguments));
        let variables: Vec<_> = variables.to_vec();
        Settings::new(&cli, &move |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn ingest_beyond_loopback_needs_a_token() {
        let refused = settings(&["--listen", "0.0.0.0:4319"], &[]).unwrap_err().to_string();
        assert!(refused.contains("WEIR_INGEST_TOKEN") && refused.contains("0.0.0.0:4319"), "{refused}");
        assert!(settings(&["--listen", "0.0.0.0:4319"], &[("WEIR_INGEST_TOKEN", "t0ken")]).is_ok());
        assert!(settings(&["--listen", "[::1]:4319"], &[]).is_ok());
        assert!(settings(&["ship", "--listen", "0.0.0.0:4319"], &[]).is_ok());
    }

    #[test]
    fn a_token_with_a_line_end_is_refused_without_being_shown() {
        let refused = settings(&[], &[("WEIR_INGEST_TOKEN", "t0ken\n")]).unwrap_err().to_string();
        assert!(!refused.contains("t0ken"), "{refused}");
    }

    #[test]
    fn a_file_of_prices_reaches_every_destination_and_a_bad_one_is_refused_by_its_field() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"models: { house: { input: 1, output: 2 } }").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let usage = weir_event::v1::Usage {
            input_tokens: Some(1_000_000),
            output_tokens: Some(0),
            ..Default::default()
        };
        let answer =
            weir_event::v1::Response { model: "house".to_owned(), usage: Some(usage), ..Default::default() };
        assert!(settings(&["--prices", ""], &[]).is_ok());
        for destination in settings(&["--prices", &path], &[]).unwrap().destinations {
            assert_eq!(destination.view.prices.cost("", &answer).unwrap().total(), 1.0);
        }
        std::io::Write::write_all(&mut file, b"\ncurrency: EUR").unwrap();
        let refused = anyhow::Error::new(settings(&["--prices", &path], &[]).unwrap_err());
        let refused = format!("{refused:#}");
        assert!(refused.contains("--prices (WEIR_PRICES): ") && refused.contains("currency"), "{refused}");
        assert_eq!(refused.matches(&path).count(), 1, "{refused}");
    }

    #[test]
    fn no_secret_is_shown_by_debug() {
        let settings = settings(
            &["--nats-url", "nats://user:pass-nats@127.0.0.1:4222,nats://b:4222"],
            &[
                ("WEIR_INGEST_TOKEN", "pass-token"),
                ("MW_API_KEY", "pass-key"),
                ("MW_TENANT", "acme"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=pass-header"),
            ],
        )
        .unwrap();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("pass-"), "{shown}");
        assert_eq!(settings.bus.servers.to_string(), "127.0.0.1:4222, b:4222");
    }

    #[test]
    fn an_unusable_nats_url_is_refused_without_being_shown() {
        let refused = settings(&["--nats-url", "nats://u:pass@:x"], &[]).unwrap_err();
        assert!(!refused.to_string().contains("pass"), "{refused}");
    }
}
