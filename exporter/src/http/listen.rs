//! Binding listeners: TCP, TLS by files, a Unix socket.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::{config::wire::ServerTls, destination, http::server::Listener};

/// Who may write to the socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {address} ({field})")]
    Tcp {
        /// The field that names the address.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {path} (ingest.socket)", path = .path.display())]
    Unix {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("{field}: {why}")]
    Tls {
        /// The field.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Binds a TCP listener; port 0 takes a free one.
pub async fn tcp(field: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed = |source| ListenError::Tcp { field, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    destination::listens_on(bound.port());
    Ok((listener, bound))
}

/// Binds a Unix socket; replaces a stale one.
pub fn unix(path: &Path) -> Result<Listener, ListenError> {
    let failed = |source| ListenError::Unix { path: path.to_owned(), source };
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "it is there and no socket")));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(failed(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
    Ok(Listener::Unix(listener, path.to_owned()))
}

/// TLS by the files of the listener whose settings are at `path`, such as `ingest`.
pub fn tls(path: &str, files: &ServerTls) -> Result<TlsAcceptor, ListenError> {
    let at = |field: &str, error: &dyn std::fmt::Display| ListenError::Tls {
        field: format!("{path}.tls{field}"),
        why: error.to_string(),
    };
    let read = |field: &str, file: &Path| {
        let all: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(file).map_err(|error| at(field, &error))?.collect();
        let all: Vec<CertificateDer<'static>> = all.map_err(|error| at(field, &error))?;
        if all.is_empty() { Err(at(field, &"holds no certificate")) } else { Ok(all) }
    };
    let chain = read(".certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| at(".key", &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| at("", &error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let field = ".client_ca";
            let mut roots = RootCertStore::empty();
            for certificate in read(field, file)? {
                roots.add(certificate).map_err(|error| at(field, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| at(field, &error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| at(".key", &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
