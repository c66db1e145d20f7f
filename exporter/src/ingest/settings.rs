//! Where batches are taken and how many, as it was written and checked.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    cli::Role,
    config::{ConfigError, loopback, ranged, tls_is_there, wire},
    process::env::Env,
    secret::Secret,
};

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
    /// About how many workers' ledgers are open.
    pub max_sources: usize,
}

impl IngestSettings {
    /// Those of a part of the exporter; one that takes no batches is not held to what taking them needs.
    pub(crate) fn checked(role: Role, written: &wire::Ingest, env: &Env) -> Result<Self, ConfigError> {
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
            tls_is_there("ingest.tls", tls)?;
        }
        let size = |field: &str, given: Option<weir_settings::Size>, default: u64, least: u64, most: u64| {
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
        Ok(Self {
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
}
