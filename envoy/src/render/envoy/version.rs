//! What an older Envoy does not support, and what a gateway loses without it.

use std::str::FromStr;

use crate::gateway::Gateway;

/// The first Envoy whose router chooses the cluster of each attempt again
/// (`refresh_cluster_on_retry`).
const REFRESHES_CLUSTERS: Version = Version { major: 1, minor: 39 };
/// The first Envoy that has everything else: the route's matcher over filter state was its last part.
const OLDEST: Version = Version { major: 1, minor: 36 };

/// A version of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
}

/// Why something is no version that can be rendered for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not of the form of a version.
    #[error("{0:?} is no version of Envoy; give one such as 1.40 or 1.38.2")]
    Malformed(String),
    /// Too old.
    #[error(
        "Envoy {0} is too old: it cannot route by filter state, without which no request finds its provider; use {OLDEST} or later"
    )]
    TooOld(Version),
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let malformed = || VersionError::Malformed(text.to_owned());
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').map(str::parse::<u16>);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            return Err(malformed());
        };
        if parts.any(|part| part.is_err()) {
            return Err(malformed());
        }
        let version = Self { major, minor };
        if version < OLDEST {
            return Err(VersionError::TooOld(version));
        }
        Ok(version)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// Removes from the gateway what this Envoy does not support, and reports what is lost.
    pub fn limit(self, gateway: &mut Gateway) -> Vec<String> {
        if self >= REFRESHES_CLUSTERS || !gateway.upstream_filter {
            return Vec::new();
        }
        gateway.upstream_filter = false;
        let mut lost = vec![format!(
            "Envoy {self} cannot send a second attempt to another cluster (that came with {REFRESHES_CLUSTERS}), so the \
             filter is left out of the providers' clusters: a request goes to its first healthy target and nowhere else"
        )];
        for (name, model) in &gateway.models {
            let targets = model.targets.len();
            if targets > 1 {
                lost.push(format!(
                    "models.{name}: no fallback between its {targets} targets within a request"
                ));
            }
            if model.retry.attempts > 1 {
                lost.push(format!(
                    "models.{name}.retry.attempts: one attempt instead of {}",
                    model.retry.attempts
                ));
            }
            if model.timeouts.first_token.is_some() {
                lost.push(format!("models.{name}.timeouts.first_token: not enforced"));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_and_without_its_last_number() {
        for text in ["1.38", "1.38.2", "v1.38.0"] {
            assert_eq!(text.parse(), Ok(Version { major: 1, minor: 38 }), "{text}");
        }
        for text in ["", "1", "1.x", "1.38.x", "latest"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::Malformed(text.to_owned())));
        }
        assert!("1.20".parse::<Version>().unwrap_err().to_string().contains("too old"));
    }

    #[test]
    fn what_is_lost_is_told_by_field_and_only_where_something_is() {
        let yaml = "
listen: 127.0.0.1:8080
providers: { a: { api: openai, url: http://a }, b: { api: openai, url: http://b } }
models:
  x:
    targets: [{ provider: a }, { provider: b }]
    retry: { attempts: 2 }
    timeouts: { first_token: 5s }
  y: { targets: [{ provider: a }] }
";
        let mut gateway = Gateway::parse(yaml).unwrap();
        assert_eq!("1.40".parse::<Version>().unwrap().limit(&mut gateway), [""; 0]);
        assert!(gateway.upstream_filter);
        let old: Version = "1.38".parse().unwrap();
        let lost = old.limit(&mut gateway);
        assert_eq!(lost.len(), 4, "{lost:?}");
        assert_eq!(lost[1], "models.x: no fallback between its 2 targets within a request");
        assert_eq!(lost[2], "models.x.retry.attempts: one attempt instead of 2");
        assert_eq!(lost[3], "models.x.timeouts.first_token: not enforced");
        assert!(!gateway.upstream_filter);
        assert_eq!(old.limit(&mut gateway), [""; 0]);
    }
}
