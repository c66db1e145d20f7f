//! NATS: who may connect, and a stream that is somebody else's.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use weir_tests::{
    callers::source::Source,
    fakes::otlp::Endpoint,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::wait,
};

use super::rig::{self, QUICK, destination, settled};

/// An exporter that ships through a nats-server with this configuration.
async fn ships_through(nats: &Nats, nats_yaml: &str) {
    let backend = Endpoint::counting().await;
    let config = format!("{QUICK}nats: {nats_yaml}\n{}", destination(&backend, ""));
    let exporter = rig::exporter(&nats.url(), &config).await;
    let ids = Source::new().store(&exporter.url(), 10).await;
    backend.wait_for_events(&ids).await;
    settled(&exporter, "d", 10).await;
    assert!(!exporter.process.log().contains("canary"));
}

async fn configured(config: &str, files: &[(&str, &str)]) -> Nats {
    Nats::configured(config, files).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_a_password_and_an_nkey_open_nats() {
    let dir = tempfile::tempdir().expect("a directory");
    let secret = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        format!("{{ file: \"{}\" }}", path.display())
    };
    let nats = configured("authorization { token: canary-token }\n", &[]).await;
    ships_through(&nats, &format!("{{ token: {} }}", secret("token", "canary-token\n"))).await;
    let nats = configured("authorization { user: weir, password: canary-pw }\n", &[]).await;
    ships_through(&nats, &format!("{{ user: weir, password: {} }}", secret("pw", "canary-pw"))).await;
    let pair = nkeys::KeyPair::new_user();
    let (seed, public) = (pair.seed().expect("a seed"), pair.public_key());
    let nats = configured(&format!("authorization {{ users: [ {{ nkey: {public} }} ] }}\n"), &[]).await;
    ships_through(&nats, &format!("{{ nkey: {} }}", secret("seed", &seed))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_client_certificate_opens_nats_and_without_one_it_stays_shut() {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let leaf = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params =
            CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).expect("parameters");
        (params.signed_by(&key, &ca).expect("a certificate").pem(), key.serialize_pem())
    };
    let ((certificate, key), (client, client_key)) = (leaf("localhost"), leaf("weir"));
    let files = [("ca.pem", &*ca.pem()), ("cert.pem", &*certificate), ("key.pem", &*key)];
    let tls = "tls { cert_file: cert.pem, key_file: key.pem, ca_file: ca.pem, verify: true }\n";
    let nats = configured(tls, &files).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (ca, certificate, key) = (file("ca", &ca.pem()), file("cert", &client), file("key", &client_key));
    ships_through(
        &nats,
        &format!("{{ tls: {{ ca: \"{ca}\", certificate: \"{certificate}\", key: \"{key}\" }} }}"),
    )
    .await;

    let config = format!("nats: {{ tls: {{ ca: \"{ca}\" }} }}\n");
    let options = Options { config: Some(&config), unready: true, ..Options::default() };
    let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
    let refused = || nats.process.log().matches("TLS handshake error").count();
    let before = refused();
    wait::until("two refusals", || refused() > before + 1).await;
    let status = weir_tests::system::probe::status(exporter.admin_port, "/readyz").await.expect("an answer");
    assert_eq!(status, 503, "NATS let in a client without a certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_lose_events_is_refused_at_the_start_and_left_alone() {
    let rig = rig::Rig::start().await;
    rig.backend.answer(weir_tests::fakes::otlp::Reply::status(503));
    let ids = Source::new().of_bytes(4000).store(&rig.exporter.url(), 600).await;
    let smaller = QUICK.replace("256MiB", "1MiB");
    let config = format!("{smaller}{}", destination(&rig.backend, ""));
    let options = Options { config: Some(&config), unready: true, ..Options::default() };
    let started = Exporter::with(&rig.nats.url(), &options).await;
    let said = match started {
        Err(error) => error.to_string(),
        Ok(mut exporter) => {
            wait::until("the end", || exporter.process.ended().is_some()).await;
            exporter.process.log()
        }
    };
    assert!(said.contains("would lose events by stream.max_bytes"), "{said}");
    rig.backend.answer(weir_tests::fakes::otlp::Reply::Take);
    rig.backend.wait_for_events(&ids).await;
    rig.settled(600).await;
}
