//! Envoy's admin interface, as far as a rendered gateway needs it: stats by name, and commands.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The admin interface of one Envoy.
#[derive(Debug)]
pub struct Admin {
    agent: ureq::Agent,
    url: String,
}

/// Why a call to the admin interface failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There was no response.
    #[error("{url}: {source}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The response was no success.
    #[error("{url}: status {status}")]
    Refused {
        /// What was asked.
        url: String,
        /// The response's status.
        status: u16,
    },
}

impl Admin {
    /// The interface at this URL, such as `http://127.0.0.1:9901`.
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(CALL_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned() }
    }

    /// The interface at this address of gateway.yaml's; one that means every address is asked on
    /// loopback.
    pub fn at(mut address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Self::new(&format!("http://{address}"))
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The stats that the regular expression finds, by name.
    pub fn stats(&self, filter: &str) -> Result<BTreeMap<String, String>, AdminError> {
        let url = format!("{}/stats?filter={filter}", self.url);
        let text = self.read(&url, self.agent.get(&url).call())?;
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        Ok(lines.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect())
    }

    /// Gives a command, such as `/healthcheck/fail`.
    pub fn command(&self, path: &str) -> Result<(), AdminError> {
        let url = format!("{}{path}", self.url);
        self.read(&url, self.agent.post(&url).send_empty()).map(drop)
    }

    fn read(
        &self,
        url: &str,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<String, AdminError> {
        let unreachable = |source| AdminError::Unreachable { url: url.to_owned(), source: Box::new(source) };
        let mut response = response.map_err(unreachable)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(AdminError::Refused { url: url.to_owned(), status });
        }
        response.body_mut().read_to_string().map_err(unreachable)
    }
}

/// A stat as a number; 0 where it is not there or none.
pub(crate) fn number(stats: &BTreeMap<String, String>, name: &str) -> u64 {
    stats.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}
