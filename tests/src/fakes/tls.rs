//! TLS in front of a server of a test's, an HTTP proxy, and the certificates for both.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier},
};

/// A CA and what it has signed: a certificate for a server and one for a client.
#[derive(Debug)]
pub struct Certificates {
    ca: CertifiedIssuer<'static, KeyPair>,
    server: (rcgen::Certificate, KeyPair),
    client: (String, KeyPair),
}

impl Certificates {
    /// New ones; the server's is for these names.
    pub fn new(names: &[&str]) -> Self {
        let key = || KeyPair::generate().expect("a key");
        let params = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            CertificateParams::new(names).expect("names")
        };
        let mut authority = params(&[]);
        // A name of its own: what has its issuer's name is taken for self-signed.
        authority.distinguished_name.push(DnType::CommonName, "Weir's test CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(authority, key()).expect("a CA");
        let (server_key, client_key) = (key(), key());
        let server = params(names).signed_by(&server_key, &ca).expect("a certificate");
        let client = params(&["weir"]).signed_by(&client_key, &ca).expect("a certificate");
        Self { server: (server, server_key), client: (client.pem(), client_key), ca }
    }

    /// Writes `ca.pem`, `client.pem` and `client.key` for a client, `server.pem` and `server.key` for a server.
    pub fn write(&self, dir: &Path) {
        let (certificate, key) = &self.client;
        for (name, pem) in [
            ("ca.pem", self.ca.pem()),
            ("client.pem", certificate.clone()),
            ("client.key", key.serialize_pem()),
            ("server.pem", self.server.0.pem()),
            ("server.key", self.server.1.serialize_pem()),
        ] {
            fs::write(dir.join(name), pem).expect("a PEM file");
        }
    }

    /// TLS as a server speaks it that takes only clients with a certificate of the CA.
    fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        // An error means that it is installed already.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
        let (certificate, key) = &self.server;
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a configuration");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server on loopback that passes connections on; it ends when it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    /// Where it listens.
    pub address: SocketAddr,
    /// The names that clients asked for, by SNI or by CONNECT, in order.
    pub asked: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Forwarder {
    /// Takes TLS from clients with a certificate and passes on what is in it.
    pub async fn tls(certificates: &Certificates, to: SocketAddr) -> Self {
        Self::tls_of(certificates, to, &[]).await
    }

    /// The same, and speaks these protocols, by ALPN.
    pub async fn tls_of(certificates: &Certificates, to: SocketAddr, protocols: &[&str]) -> Self {
        let acceptor = certificates.acceptor(protocols);
        Self::start(move |stream, asked| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                asked.lock().expect("no panic").push(name);
                let Ok(mut upstream) = TcpStream::connect(to).await else { return };
                let _ = copy_bidirectional(&mut stream, &mut upstream).await;
            }
        })
        .await
    }

    /// An HTTP proxy: takes CONNECT, and connects to `to` wherever it is asked to.
    pub async fn proxy(to: SocketAddr) -> Self {
        Self::start(move |stream, asked| async move {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            asked.lock().expect("no panic").push(head);
            let Ok(mut upstream) = TcpStream::connect(to).await else { return };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        })
        .await
    }

    async fn start<F>(serve: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, asked) = (listener.local_addr().expect("an address"), Arc::default());
        let shared = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, asked, task: task.abort_handle() }
    }

    /// What clients asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}
