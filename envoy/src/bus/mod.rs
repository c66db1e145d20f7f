//! How NATS and its clients authenticate: certificates, users, and the ingest's token.
//!
//! Everything is generated, into one directory for each part, and each part gets only what it needs: NATS gets the
//! public keys of its users alone, and the private key of the CA is discarded, so no further certificate can be signed
//! with it. [`User`] says what each user may do in NATS.

mod config;
mod user;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};

pub use user::User;

/// How long the certificates are good: nothing renews them, so for longer than an installation stays as it is.
const VALID: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Clocks may differ by so much.
const SKEW: Duration = Duration::from_secs(24 * 3600);

/// The length of a random token, in bytes.
const RANDOM_BYTES: usize = 32;

/// Why nothing was generated.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// A host name is invalid.
    #[error("--host {0:?}: must be a host name or an address, such as nats-1")]
    Host(String),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No user's key could be made.
    #[error("cannot make a user's key: {0}")]
    Nkey(#[from] nkeys::error::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The directory that the others are made in: `nats`, `ingest`, `ship`, `settings`, `envoy`.
    pub dir: PathBuf,
    /// The names by which NATS is reached; with more than one, each is a node of a cluster.
    pub hosts: Vec<String>,
    /// Where NATS will see its directory.
    pub server_dir: PathBuf,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Everything is new.
    New,
    /// It was all there, and is as it was.
    Kept,
}

/// Makes everything, or leaves it as it is where all of it is there.
pub fn make(wanted: &Wanted) -> Result<Made, BusError> {
    let Wanted { dir, hosts, server_dir } = wanted;
    if let Some(host) = hosts.iter().find(|host| !is_host(host)) {
        return Err(BusError::Host(host.clone()));
    }
    let nats = dir.join("nats");
    // Written last, so that where it is the rest is too.
    let done = nats.join("nats.conf");
    if done.exists() {
        return Ok(Made::Kept);
    }
    let certificates = Certificates::new(hosts)?;
    let mut keys = Vec::new();
    let mut files = vec![
        (nats.join("ca.pem"), certificates.ca.clone()),
        (nats.join("server.pem"), certificates.server),
        (nats.join("server.key"), certificates.key),
    ];
    for user in User::ALL {
        let (key, dir) = (KeyPair::new_user(), dir.join(user.name()));
        files.push((dir.join("ca.pem"), certificates.ca.clone()));
        files.push((dir.join("nkey"), key.seed()?));
        keys.push((user, key.public_key()));
    }
    let token = random()?;
    files.push((dir.join(User::Ingest.name()).join("token"), token.clone()));
    files.push((dir.join("envoy").join("token"), token));
    let inner = random()?;
    let config = config::render(&config::Node { hosts, dir: server_dir, users: &keys, password: &inner });
    files.push((done, config));
    for (path, content) in files {
        write(&path, &content)?;
    }
    Ok(Made::New)
}

fn is_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || (!host.is_empty()
            && host.len() <= 253
            && host.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            }))
}

fn random() -> Result<String, BusError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// For its owner alone. What a run that was interrupted left is written over.
fn write(path: &Path, content: &str) -> Result<(), BusError> {
    let failed = |source| BusError::Write { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(failed)?;
    file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

struct Certificates {
    ca: String,
    server: String,
    key: String,
}

impl Certificates {
    fn new(hosts: &[String]) -> Result<Self, rcgen::Error> {
        let (from, until) = (SystemTime::now() - SKEW, SystemTime::now() + VALID);
        let mut ca = CertificateParams::default();
        ca.not_before = from.into();
        ca.not_after = until.into();
        ca.distinguished_name.push(DnType::CommonName, "Weir's NATS");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, rcgen::KeyPair::generate()?)?;

        let names: Vec<String> = hosts.iter().cloned().chain(["localhost".to_owned()]).collect();
        let mut server = CertificateParams::new(names)?;
        server.not_before = from.into();
        server.not_after = until.into();
        server.distinguished_name.push(DnType::CommonName, "nats");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // The nodes of a cluster are one another's clients.
        server.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = rcgen::KeyPair::generate()?;
        let certificate = server.signed_by(&key, &ca)?;
        Ok(Self { ca: ca.pem(), server: certificate.pem(), key: key.serialize_pem() })
    }
}

#[cfg(test)]
mod tests;
