//! TLS on every way: into ingest, out to destinations by HTTP and gRPC, and through a proxy that the environment
//! names.

use std::ffi::OsString;

use bytes::Bytes;
use tempfile::TempDir;
use weir_event::INGEST_PATH;
use weir_tests::{
    callers::source::Source,
    fakes::{
        otlp::Endpoint,
        tls::{Certificates, Forwarder},
    },
    stack::exporter::{Exporter, Options},
};

use super::rig::{self, QUICK, condition, destination, settled};

/// A name that no resolver knows: only a proxy finds it.
const ELSEWHERE: &str = "otlp.weir.invalid";

struct Files {
    certificates: Certificates,
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let certificates = Certificates::new(&["localhost", "127.0.0.1", ELSEWHERE]);
        let dir = tempfile::tempdir().expect("a directory");
        certificates.write(dir.path());
        Self { certificates, dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The setting of a client that has both.
    fn client(&self) -> String {
        let (ca, certificate, key) = (self.path("ca.pem"), self.path("client.pem"), self.path("client.key"));
        format!("{{ ca: \"{ca}\", certificate: \"{certificate}\", key: \"{key}\" }}")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file")
    }
}

/// The status of a POST to ingest over TLS; `None` where the handshake fails.
async fn post(exporter: &Exporter, files: &Files, identity: bool, body: &Bytes) -> Option<u16> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(&files.read("ca.pem")).expect("a CA");
    let mut client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
    if identity {
        let pem = [files.read("client.pem"), files.read("client.key")].concat();
        client = client.identity(reqwest::Identity::from_pem(&pem).expect("an identity"));
    }
    let request = client
        .build()
        .expect("a client")
        .post(format!("https://127.0.0.1:{}{INGEST_PATH}", exporter.port))
        .bearer_auth("canary-token")
        .header("content-type", weir_event::CONTENT_TYPE)
        .body(body.clone());
    Some(request.send().await.ok()?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_speaks_tls_and_lets_in_only_clients_with_a_certificate_where_it_is_told_to() {
    let (nats, backend, files) = (rig::nats().await, Endpoint::counting().await, Files::new());
    std::fs::write(files.path("token"), "canary-token").expect("a file");
    for (client_ca, without) in [(false, Some(200)), (true, None)] {
        let ca = if client_ca { format!(", client_ca: \"{}\"", files.path("ca.pem")) } else { String::new() };
        let config = format!(
            "{QUICK}ingest: {{ token: {{ file: \"{}\" }}, tls: {{ certificate: \"{}\", key: \"{}\"{ca} }} }}\n{}",
            files.path("token"),
            files.path("server.pem"),
            files.path("server.key"),
            destination(&backend, "")
        );
        let exporter = rig::exporter(&nats.url(), &config).await;
        let (batch, other) = (Source::new().batch(5), Source::new().batch(5));
        assert_eq!(post(&exporter, &files, true, &batch.body).await, Some(200), "client_ca: {client_ca}");
        assert_eq!(post(&exporter, &files, false, &other.body).await, without, "client_ca: {client_ca}");
        assert!(other.post(&exporter.url()).await.is_err(), "it answers without TLS");
        backend.wait_for_events(&batch.ids).await;
        assert!(!exporter.process.log().contains("canary"));
    }
    assert_eq!(backend.events(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_reached_over_tls_with_its_own_ca_and_a_client_certificate() {
    for (protocol, alpn, path) in [("http/protobuf", "http/1.1", "/v1/traces"), ("grpc", "h2", "")] {
        let (nats, backend, files) = (rig::nats().await, Endpoint::counting().await, Files::new());
        let front = Forwarder::tls_of(&files.certificates, backend.address(), &[alpn]).await;
        let config = |tls: &str| {
            format!(
                "{QUICK}destinations:\n  d: {{ type: otlp, protocol: {protocol}, tls: {tls}, proxy_from_environment: false, \
                 endpoint: \"https://localhost:{}{path}\" }}\n",
                front.address.port()
            )
        };
        // Whom it does not trust it gives nothing, and says so; the events wait.
        let exporter = rig::exporter(&nats.url(), &config("{}")).await;
        let ids = Source::new().store(&exporter.url(), 10).await;
        condition(&exporter, "d", "misconfigured").await;
        assert_eq!(backend.events(), 0, "{protocol}");
        exporter.configure(&config(&files.client())).expect("a file");
        backend.wait_for_events(&ids).await;
        settled(&exporter, "d", 10).await;
        assert!(front.asked().iter().any(|name| name == "localhost"), "{protocol}: {:?}", front.asked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_the_environment_names_is_gone_through_unless_it_is_turned_off() {
    for (protocol, alpn, path) in [("http/protobuf", "http/1.1", "/v1/traces"), ("grpc", "h2", "")] {
        let (nats, backend, files) = (rig::nats().await, Endpoint::counting().await, Files::new());
        let front = Forwarder::tls_of(&files.certificates, backend.address(), &[alpn]).await;
        let proxy = Forwarder::proxy(front.address).await;
        let config = |more: &str| {
            format!(
                "{QUICK}destinations:\n  d: {{ type: otlp, protocol: {protocol}, tls: {}, metrics: false, \
                 endpoint: \"https://{ELSEWHERE}:4318{path}\"{more} }}\n",
                files.client()
            )
        };
        let proxied = OsString::from(format!("http://canary-user:canary-pw@{}", proxy.address));
        let env = [("HTTPS_PROXY".to_owned(), proxied), ("NO_PROXY".to_owned(), OsString::new())];
        let off = config(", proxy_from_environment: false");
        let options = Options { config: Some(&off), env: &env, ..Options::default() };
        let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
        let ids = Source::new().store(&exporter.url(), 10).await;
        condition(&exporter, "d", "retrying").await;
        assert_eq!(proxy.asked(), [""; 0], "{protocol}");
        exporter.configure(&config("")).expect("a file");
        backend.wait_for_events(&ids).await;
        settled(&exporter, "d", 10).await;
        let asked = proxy.asked();
        let head = asked.first().expect("a request").to_ascii_lowercase();
        assert!(head.starts_with(&format!("connect {ELSEWHERE}:4318 ")), "{protocol}: {head}");
        assert!(head.contains("proxy-authorization: basic "), "{protocol}: {head}");
        let told = rig::status(&exporter).await.to_string() + &exporter.process.log();
        assert!(!told.contains("canary"), "{protocol}: {told}");
    }
}
