//! What the exporter runs with: flags, environment and exporter.yaml, checked once, before anything is started.
//!
//! A [`Settings`] that exists can be used as it is. Messages name the field, flag or variable and what would
//! be right, never a secret's value. An empty environment variable counts as unset.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{
    bus::{BusSettings, ConsumerSettings},
    cli::{Flags, Role},
    config::{self, Config, ConfigError, Written, loopback},
    destination::{self, DestinationSettings, Guard},
    ingest::IngestSettings,
    metrics::genai::{self, PushSettings},
    page::PageSettings,
    process::{env::Env, logging::LogFormat},
    saved_destinations::{self, General, StaticConfig, seal::SealingKeys},
    ship,
    spans::{
        names,
        prices::{Prices, PricesError},
        resource::{self, Attributes, Resource},
    },
};

/// The default service of spans.
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
    pub static_config: StaticConfig,
    /// What a log line looks like.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads the configuration that the flags and the environment name, and checks it.
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
            guard: Guard { loopback: true },
            proxy: config.settings.proxy_from_environment.unwrap_or(false),
        };
        let context = general.context(env);
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
        general.guard.loopback = config.settings.loopback.unwrap_or_else(|| page.is_local());
        let static_config = StaticConfig {
            enabled: config.settings.enabled.unwrap_or(true),
            keys: SealingKeys::find(config.settings.key.as_ref(), env)?,
            locked: saved_destinations::locked(&destinations, &written.tree, &written.in_file, role.ships()),
            general,
        };
        Ok(Self {
            role,
            ingest: IngestSettings::checked(role, &config.ingest, env)?,
            admin_listen: config.admin.listen.unwrap_or_else(|| loopback(4320)),
            page,
            bus: BusSettings::checked(role, config, env)?,
            destinations,
            pushes,
            static_config,
            log_format: config.log_format.unwrap_or_default(),
        })
    }

    /// The consumers that these settings take: one a destination and, where this process ships, the metrics' own.
    pub fn consumers(&self) -> Vec<ConsumerSettings> {
        let of_metrics = self.role.ships().then(genai::consumer);
        self.destinations.iter().map(ship::consumer).chain(of_metrics).collect()
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

/// The strongest last: what is detected, the specification's variables, the file.
fn base_resource(config: &Config, env: &Env) -> Result<Resource, ConfigError> {
    let detected = match config.detect_resource.unwrap_or(true) {
        true => resource::detect(env)?,
        false => Attributes::new(),
    };
    let mut variables = Attributes::from([
        (names::SERVICE_NAME.to_owned(), DEFAULT_SERVICE.to_owned()),
        (names::SERVICE_VERSION.to_owned(), weir_event::VERSION.to_owned()),
    ]);
    variables.extend(resource::from_variable(env)?);
    if let Some(name) = env.get("OTEL_SERVICE_NAME")? {
        variables.insert(names::SERVICE_NAME.to_owned(), name);
    }
    let mut resource = Resource::new(detected, variables);
    resource.configure(config.resource.clone());
    if let Some(name) = config.service_name.clone().filter(|name| !name.is_empty()) {
        resource.configure(Attributes::from([(names::SERVICE_NAME.to_owned(), name)]));
    }
    Ok(resource)
}

#[cfg(test)]
mod tests;
