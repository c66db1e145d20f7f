//! What the exporter runs with: flags, environment and exporter.yaml, checked once, before anything is started.
//!
//! A [`Settings`] that exists can be used as it is. Messages name the field, flag or variable and what would
//! be right, never a secret's value. An empty environment variable counts as unset.

use std::{fmt, fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use async_nats::ServerAddr;

pub use crate::destination::BatchSettings;
use crate::{
    bus::Credentials,
    cli::{Flags, Role},
    config::{
        self, Config, ConfigError, Written,
        wire::{self, WhenFull},
    },
    destination::{self, ClientTls, DestinationSettings, ranged},
    env::Env,
    genai::{self, PushSettings},
    logging::LogFormat,
    managed::{self, Basis, General, seal::SealingKeys},
    page::PageSettings,
    prices::{Prices, PricesError},
    resource::{self, Attributes},
    secret::Secret,
    spans::names,
};

/// The service that spans belong to where nobody names another.
pub const DEFAULT_SERVICE: &str = "weir-gateway";

/// The longest value of a span's attribute in characters (OpenTelemetry, "Environment Variable Specification").
const VALUE_LIMIT: [&str; 2] =
    ["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"];

/// The largest exporter.yaml that is read.
const MAX_FILE: u64 = 1 << 20;

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// exporter.yaml cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A field, flag or variable does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of prices does not fit; the source says where.
    #[error("prices (--prices, WEIR_PRICES)")]
    Prices(#[from] PricesError),
}

/// The NATS servers to connect to. Shown without user and password.
#[derive(Clone, PartialEq)]
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

/// How the exporter says to NATS who it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum NatsAuth {
    /// It does not, or the URL does.
    #[default]
    None,
    /// By a credentials file, which is read for every connection.
    Credentials(PathBuf),
    /// By an nkey's seed.
    Nkey(Secret),
    /// By a token.
    Token(Secret),
    /// By name and password.
    User(String, Secret),
}

impl NatsAuth {
    /// The setting that it comes from.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::None => "nats.credentials, nkey, token or user, of which none is set",
            Self::Credentials(_) => "nats.credentials",
            Self::Nkey(_) => "nats.nkey",
            Self::Token(_) => "nats.token",
            Self::User(..) => "nats.user and nats.password",
        }
    }
}

/// What the stream keeps, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSettings {
    /// How many bytes it may hold.
    pub max_bytes: i64,
    /// How long it keeps an event at most.
    pub max_age: Duration,
    /// How long it keeps an event that every destination has.
    pub keep: Duration,
    /// Within this time a repeated event is recognised.
    pub duplicate_window: Duration,
    /// How many copies NATS keeps.
    pub replicas: usize,
    /// What happens when it is full.
    pub when_full: WhenFull,
}

/// How the exporter connects to NATS and what it keeps there.
#[derive(Clone, Debug, PartialEq)]
pub struct BusSettings {
    /// Where NATS is.
    pub servers: NatsServers,
    /// Who we are.
    pub auth: NatsAuth,
    /// TLS, where it is asked for; the files, for the client reads them itself.
    pub tls: Option<wire::ClientTls>,
    /// The stream.
    pub stream: StreamSettings,
    /// The part that connects: only one that ships puts things in place.
    pub role: Role,
}

/// Where batches are taken and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// A Unix socket besides.
    pub socket: Option<PathBuf>,
    /// What callers must present; `None` only on loopback.
    pub token: Option<Secret>,
    /// TLS on `listen`.
    pub tls: Option<wire::ServerTls>,
    /// Bytes of a body.
    pub max_body: usize,
    /// Events of a batch.
    pub max_events: usize,
    /// Bytes of bodies in handling at once.
    pub max_in_flight: usize,
    /// Batches a second.
    pub max_batches_per_second: Option<u32>,
    /// Connections at once.
    pub max_connections: usize,
    /// About how many sources' ledgers are open.
    pub max_sources: usize,
}

/// Everything the exporter runs with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which part this process is.
    pub role: Role,
    /// Where batches of events are taken.
    pub ingest: IngestSettings,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// The page.
    pub page: PageSettings,
    /// NATS.
    pub bus: BusSettings,
    /// Where spans go, also where another process ships: their consumers are what the stream is kept for.
    pub destinations: Vec<DestinationSettings>,
    /// Where metrics go; nowhere unless the role ships.
    pub pushes: Vec<PushSettings>,
    /// What is said of settings that are made on the page.
    pub managed: Basis,
    /// What a log line looks like.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads the configuration that the flags and the environment name, and checks it.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], naming the field, flag or variable that does not fit.
    pub fn load(role: Role, flags: &Flags, env: &Env) -> Result<Self, SettingsError> {
        let yaml = match &flags.config {
            None => String::new(),
            Some(path) => read(path).map_err(|source| SettingsError::File { path: path.clone(), source })?,
        };
        let mut written = config::parse_over(&yaml, env.all())?;
        let config = &mut written.config;
        flags.lay_over(config);
        let prices = match config.prices.as_deref().filter(|_| role.ships()) {
            None => Prices::built_in(),
            Some(file) => Prices::load(file)?,
        };
        Ok(Self::checked(role, &written, flags.console, &prices, env)?)
    }

    fn checked(
        role: Role,
        written: &Written,
        console: bool,
        prices: &Arc<Prices>,
        env: &Env,
    ) -> Result<Self, ConfigError> {
        let config = &written.config;
        let mut general = General {
            env: env.clone(),
            resource: base_resource(config, env)?,
            batch: config.batch.clone(),
            retry: config.retry.clone(),
            prices: Arc::clone(prices),
            value_limit: value_limit(env)?,
            alone: None,
        };
        let context = general.context(env, false);
        // Ingest alone knows of destinations only what a file says: their keys may not be given to it.
        let (destinations, pushes) = if role.ships() {
            let named = config.destinations.as_ref();
            let destinations = destination::all(named, console, &context)?;
            let alone = destination::metrics_alone(named, &context)?;
            let pushes = genai::settings::all(&destinations, alone.clone(), &general.resource, env)?;
            general.alone = alone;
            (destinations, pushes)
        } else {
            Default::default()
        };
        let page = PageSettings::checked(role, &config.page, prices, &general.resource, env)?;
        let managed = Basis {
            enabled: config.settings.enabled.unwrap_or(true),
            keys: SealingKeys::find(config.settings.key.as_ref(), env)?,
            locked: managed::locked(&destinations, &written.tree, &written.in_file, role.ships()),
            general,
        };
        Ok(Self {
            role,
            ingest: ingest(role, &config.ingest, env)?,
            admin_listen: config.admin.listen.unwrap_or_else(|| loopback(4320)),
            page,
            bus: BusSettings {
                servers: servers(config.nats.url.as_deref().unwrap_or("nats://127.0.0.1:4222"))?,
                auth: auth(&config.nats, env)?,
                tls: nats_tls(&config.nats)?,
                stream: stream(&config.stream)?,
                role,
            },
            destinations,
            pushes,
            managed,
            log_format: config.log_format.unwrap_or_default(),
        })
    }
}

fn value_limit(env: &Env) -> Result<Option<u32>, ConfigError> {
    let Some((name, value)) = env.first(&VALUE_LIMIT)? else { return Ok(None) };
    let limit = value.trim().parse().map_err(|_| ConfigError::at(name, "must be a number of characters"))?;
    Ok(Some(limit))
}

fn read(path: &std::path::Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is over 1 MiB"));
    }
    fs::read_to_string(path)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The strongest last: what is detected, the specification's variables, the file.
fn base_resource(config: &Config, env: &Env) -> Result<Attributes, ConfigError> {
    let mut resource = Attributes::from([
        (names::SERVICE_NAME.to_owned(), DEFAULT_SERVICE.to_owned()),
        (names::SERVICE_VERSION.to_owned(), crate::VERSION.to_owned()),
    ]);
    if config.detect_resource.unwrap_or(true) {
        resource.extend(resource::detect(env)?);
    }
    resource.extend(resource::from_variable(env)?);
    if let Some(name) = env.get("OTEL_SERVICE_NAME")? {
        resource.insert(names::SERVICE_NAME.to_owned(), name);
    }
    resource.extend(config.resource.clone());
    if let Some(name) = config.service_name.clone().filter(|name| !name.is_empty()) {
        resource.insert(names::SERVICE_NAME.to_owned(), name);
    }
    Ok(resource)
}

fn ingest(role: Role, written: &wire::Ingest, env: &Env) -> Result<IngestSettings, ConfigError> {
    let listen = written.listen.unwrap_or_else(|| loopback(4319));
    let (token, place) = match &written.token {
        Some(place) => (Some(Secret::find("ingest.token", place, env)?), "ingest.token"),
        None => (env.get("WEIR_INGEST_TOKEN")?.map(Secret::new), "WEIR_INGEST_TOKEN"),
    };
    if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(ConfigError::at(place, "must be visible ASCII without spaces or line ends"));
    }
    if role.ingests() && token.is_none() && !listen.ip().is_loopback() {
        let message = format!("must be set, or WEIR_INGEST_TOKEN: {listen} is not a loopback address");
        return Err(ConfigError::at("ingest.token", message));
    }
    if let Some(tls) = written.tls.as_ref().filter(|_| role.ingests()) {
        let files = [
            ("certificate", Some(&tls.certificate)),
            ("key", Some(&tls.key)),
            ("client_ca", tls.client_ca.as_ref()),
        ];
        for (field, file) in files {
            if let Some(Err(error)) = file.map(fs::metadata) {
                let shown = file.map(|file| file.display().to_string()).unwrap_or_default();
                return Err(ConfigError::at(format!("ingest.tls.{field}"), format!("{shown}: {error}")));
            }
        }
    }
    let size = |field: &str, given: Option<config::units::Size>, default: u64, least: u64, most: u64| {
        let size = given.map_or(default, |size| size.0);
        if !(least..=most).contains(&size) {
            return Err(ConfigError::at(
                format!("ingest.{field}"),
                format!("must be from {least}B to {most}B"),
            ));
        }
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    };
    let count = |field: &str, given: Option<u32>, default: u32, most: u32| {
        let number = ranged(&format!("ingest.{field}"), given, default, 1, most)?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    };
    let max_body = size("max_body", written.max_body, 8 << 20, 1 << 10, 256 << 20)?;
    let max_in_flight = size("max_in_flight", written.max_in_flight, 64 << 20, 1 << 10, 16 << 30)?;
    if max_in_flight < max_body {
        return Err(ConfigError::at(
            "ingest.max_in_flight",
            "must be max_body at least, or such a batch never fits",
        ));
    }
    Ok(IngestSettings {
        listen,
        socket: written.socket.clone(),
        token,
        tls: written.tls.clone(),
        max_body,
        max_events: count("max_events", written.max_events, 4096, 65_536)?,
        max_in_flight,
        max_batches_per_second: written.max_batches_per_second.filter(|rate| *rate > 0),
        max_connections: count("max_connections", written.max_connections, 1024, 1 << 20)?,
        max_sources: count("max_sources", written.max_sources, 1024, 65_536)?,
    })
}

fn servers(urls: &str) -> Result<NatsServers, ConfigError> {
    let refused = || {
        let message = "must be one or more URLs such as nats://127.0.0.1:4222, separated by commas";
        ConfigError::at("nats.url", message)
    };
    let servers = urls
        .split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .map(|url| url.parse::<ServerAddr>().map_err(|_| refused()))
        .collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() { Err(refused()) } else { Ok(NatsServers(servers)) }
}

fn auth(nats: &wire::Nats, env: &Env) -> Result<NatsAuth, ConfigError> {
    let ways = [nats.credentials.is_some(), nats.nkey.is_some(), nats.token.is_some(), nats.user.is_some()];
    if ways.iter().filter(|given| **given).count() > 1 {
        return Err(ConfigError::at("nats", "give one of credentials, nkey, token and user"));
    }
    if nats.user.is_some() != nats.password.is_some() {
        return Err(ConfigError::at("nats.user", "user and password go together"));
    }
    if let Some(file) = &nats.credentials {
        let named = |error| ConfigError::at("nats.credentials", format!("{} {error}", file.display()));
        return Credentials::read(file).map(|_| NatsAuth::Credentials(file.clone())).map_err(named);
    }
    if let Some(place) = &nats.nkey {
        return Ok(NatsAuth::Nkey(Secret::find("nats.nkey", place, env)?));
    }
    if let Some(place) = &nats.token {
        return Ok(NatsAuth::Token(Secret::find("nats.token", place, env)?));
    }
    match (&nats.user, &nats.password) {
        (Some(user), Some(place)) => {
            Ok(NatsAuth::User(user.clone(), Secret::find("nats.password", place, env)?))
        }
        _ => Ok(NatsAuth::None),
    }
}

fn nats_tls(nats: &wire::Nats) -> Result<Option<wire::ClientTls>, ConfigError> {
    if let Some(tls) = &nats.tls {
        ClientTls::read("nats.tls", tls)?;
    }
    Ok(nats.tls.clone())
}

fn stream(written: &wire::Stream) -> Result<StreamSettings, ConfigError> {
    let time = |given: Option<config::units::Time>, seconds: u64| {
        given.map_or(Duration::from_secs(seconds), |time| time.0)
    };
    let max_bytes = written.max_bytes.map_or(10 << 30, |size| size.0);
    if max_bytes < 1 << 20 {
        return Err(ConfigError::at("stream.max_bytes", "must be 1MiB at least"));
    }
    let (max_age, duplicate_window) = (time(written.max_age, 72 * 3600), time(written.duplicate_window, 600));
    if max_age < Duration::from_secs(1) {
        return Err(ConfigError::at("stream.max_age", "must be 1s at least"));
    }
    if duplicate_window > max_age || duplicate_window < Duration::from_millis(100) {
        return Err(ConfigError::at("stream.duplicate_window", "must be from 100ms to max_age"));
    }
    let replicas = ranged("stream.replicas", written.replicas.map(u32::from), 1, 1, 5)?;
    Ok(StreamSettings {
        max_bytes: i64::try_from(max_bytes).unwrap_or(i64::MAX),
        max_age,
        keep: time(written.keep, 15 * 60),
        duplicate_window,
        replicas: usize::try_from(replicas).unwrap_or(1),
        when_full: written.when_full.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
