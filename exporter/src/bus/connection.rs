//! How the exporter connects to NATS and what it keeps there, as it was written and checked.

use std::{fmt, path::PathBuf, time::Duration};

use async_nats::ServerAddr;

use super::credentials::Credentials;
use crate::{
    cli::Role,
    config::{
        Config, ConfigError, ranged,
        wire::{self, WhenFull},
    },
    destination::ClientTls,
    process::env::Env,
    secret::Secret,
};

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

/// How the exporter authenticates to NATS.
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

impl BusSettings {
    /// Those of a part of the exporter.
    pub(crate) fn checked(role: Role, config: &Config, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            servers: servers(config.nats.url.as_deref().unwrap_or("nats://127.0.0.1:4222"))?,
            auth: auth(&config.nats, env)?,
            tls: tls(&config.nats)?,
            stream: stream(&config.stream)?,
            role,
        })
    }
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

fn tls(nats: &wire::Nats) -> Result<Option<wire::ClientTls>, ConfigError> {
    if let Some(tls) = &nats.tls {
        ClientTls::read("nats.tls", tls)?;
    }
    Ok(nats.tls.clone())
}

fn stream(written: &wire::Stream) -> Result<StreamSettings, ConfigError> {
    let time = |given: Option<weir_settings::Time>, seconds: u64| {
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
