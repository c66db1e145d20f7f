//! Certificates of a client: whom it trusts and who it is, read when the settings are checked, so that a file
//! that is missing is named before anything is started.

use std::{fmt, fs, path::Path};

use crate::{
    config::{ConfigError, wire},
    secret::Secret,
};

/// The largest PEM file that is read.
const MAX_PEM: u64 = 1 << 20;

/// Whom to trust, and who we are: PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Certificates to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// Our certificate chain and its key.
    pub identity: Option<(Vec<u8>, Secret)>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ca, identity) = (self.ca.is_some(), self.identity.is_some());
        f.debug_struct("ClientTls").field("ca", &ca).field("identity", &identity).finish()
    }
}

impl ClientTls {
    /// Reads what stands at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming the file that cannot be read or the half that is missing.
    pub fn read(path: &str, written: &wire::ClientTls) -> Result<Self, ConfigError> {
        let read = |field: &str, file: &Path| pem(&format!("{path}.{field}"), file);
        let ca = written.ca.as_deref().map(|file| read("ca", file)).transpose()?;
        let identity = match (&written.certificate, &written.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let key = read("key", key)?;
                let key = String::from_utf8(key)
                    .map_err(|_| ConfigError::at(format!("{path}.key"), "is not PEM"))?;
                Some((read("certificate", certificate)?, Secret::new(key)))
            }
            (Some(_), None) => {
                return Err(ConfigError::at(format!("{path}.key"), "must be set beside certificate"));
            }
            (None, Some(_)) => {
                return Err(ConfigError::at(format!("{path}.certificate"), "must be set beside key"));
            }
        };
        Ok(Self { ca, identity })
    }
}

fn pem(path: &str, file: &Path) -> Result<Vec<u8>, ConfigError> {
    let at = |what: String| ConfigError::at(path, format!("{}: {what}", file.display()));
    let size = fs::metadata(file).map_err(|error| at(error.to_string()))?.len();
    if size > MAX_PEM {
        return Err(at("is too large for a PEM file".to_owned()));
    }
    let bytes = fs::read(file).map_err(|error| at(error.to_string()))?;
    let is_pem = bytes.windows(11).any(|window| window == b"-----BEGIN ");
    if is_pem { Ok(bytes) } else { Err(at("is not a PEM file".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_no_pem_is_named_with_its_field() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let written = wire::ClientTls { ca: Some(file.clone()), ..wire::ClientTls::default() };
        let error = ClientTls::read("d.tls", &written).unwrap_err().to_string();
        assert!(error.starts_with("d.tls.ca: ") && error.contains("ca.pem"), "{error}");
        fs::write(&file, "no pem").unwrap();
        assert!(ClientTls::read("d.tls", &written).unwrap_err().to_string().ends_with("is not a PEM file"));
        let half = wire::ClientTls { certificate: Some(file), ..wire::ClientTls::default() };
        assert_eq!(ClientTls::read("d.tls", &half).unwrap_err().path, "d.tls.key");
    }
}
