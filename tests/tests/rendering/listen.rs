//! TLS and mTLS for callers.

use std::{fs, path::Path, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use weir_tests::stack::{Options, Stack};

use weir_tests::fakes::tls::Certificates;

async fn start(dir: &Path, client_ca: bool) -> Stack {
    let file = |name: &str| dir.join(name).display().to_string();
    let ca = if client_ca { format!(", client_ca: {}", file("ca.pem")) } else { String::new() };
    // The certificate is of the name `weir`, and good for both sides.
    let tls =
        format!("tls: {{ certificate: {}, private_key: {}{ca} }}", file("client.pem"), file("client.key"));
    Options::default().with(&tls).start().await
}

/// Asks for /healthz by TLS; gives the answer's first line, or nothing where the connection was refused.
async fn ask(stack: &Stack, dir: &Path, with_certificate: bool) -> Option<String> {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let read = |name: &str| fs::read(dir.join(name)).expect("a PEM file");
    let certificate = |name: &str| CertificateDer::from_pem_slice(&read(name)).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")).expect("a root");
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = if with_certificate {
        let key = PrivateKeyDer::from_pem_slice(&read("client.key")).expect("a key");
        config.with_client_auth_cert(vec![certificate("client.pem")], key).expect("an identity")
    } else {
        config.with_no_client_auth()
    };
    let stream = TcpStream::connect(stack.address()).await.expect("a connection");
    let name = ServerName::try_from("weir").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    // A certificate that is missing is refused after the handshake (TLS 1.3).
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).lines().next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_come_by_tls_and_where_a_ca_is_named_only_with_a_certificate_of_it() {
    let dir = TempDir::new().expect("a directory");
    Certificates::new(&["weir"]).write(dir.path());
    let stack = start(dir.path(), false).await;
    assert_eq!(ask(&stack, dir.path(), false).await.as_deref(), Some("HTTP/1.1 200 OK"));
    drop(stack);
    let stack = start(dir.path(), true).await;
    assert_eq!(ask(&stack, dir.path(), false).await, None);
    assert_eq!(ask(&stack, dir.path(), true).await.as_deref(), Some("HTTP/1.1 200 OK"));
}
