//! A NATS whose users are known by JWTs that an operator's account has signed: credentials files, what is told
//! where one is refused, and one that is replaced.

use std::{
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use weir_tests::{
    callers::{client, source::Source},
    fakes::otlp::Endpoint,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::{tools, wait},
};

use super::rig::{QUICK, destination, exporter, metrics, settled, status};

/// What `nsc` would keep.
struct Operator {
    key: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

/// A user and its credentials file.
struct User {
    key: KeyPair,
    jwt: String,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A JWT as NATS has them (ADR-14 of NATS): claims of version 2 and a signature over head and claims.
fn signed(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let claims = json!({
        "jti": format!("{:x}", fastrand::u128(..)), "iat": now() - 60, "iss": issuer.public_key(),
        "name": "weir", "sub": subject.public_key(), "nats": nats
    });
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let [head, claims] = [head, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{head}.{claims}");
    let signature = issuer.sign(text.as_bytes()).expect("a signature");
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

impl Operator {
    fn new() -> Self {
        Self { key: KeyPair::new_operator(), account: KeyPair::new_account(), system: KeyPair::new_account() }
    }

    /// The server's configuration, in which these users are revoked.
    fn config(&self, revoked: &[&User]) -> String {
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1
        });
        let revocations: serde_json::Map<_, _> =
            revoked.iter().map(|user| (user.key.public_key(), now().into())).collect();
        let account =
            json!({ "limits": unlimited, "revocations": revocations, "type": "account", "version": 2 });
        let without_store = json!({
            "limits": { "subs": -1, "data": -1, "payload": -1, "conn": -1, "wildcards": true },
            "type": "account", "version": 2
        });
        let operator = json!({ "type": "operator", "version": 2 });
        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n  {}: {}\n  {}: {}\n}}\n",
            signed(&self.key, &self.key, &operator),
            self.system.public_key(),
            self.account.public_key(),
            signed(&self.key, &self.account, &account),
            self.system.public_key(),
            signed(&self.key, &self.system, &without_store),
        )
    }

    fn user(&self) -> User {
        let key = KeyPair::new_user();
        let all = json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
        User { jwt: signed(&self.account, &key, &all), key }
    }
}

impl User {
    fn write(&self, file: &Path) {
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt,
            self.key.seed().expect("a seed"),
        );
        let new = file.with_extension("new");
        std::fs::write(&new, text).expect("a file");
        std::fs::rename(new, file).expect("a file");
    }

    /// That nothing of it is in a text.
    fn is_not_in(&self, text: &str) {
        assert!(!text.contains(&self.key.seed().expect("a seed")), "a seed is shown: {text}");
        assert!(!text.contains(&self.jwt), "a JWT is shown: {text}");
    }
}

/// Waits until `/readyz` gives this as a reason.
async fn not_ready_for(exporter: &Exporter, says: &str) {
    let found = wait::poll(wait::DEADLINE, || async {
        let response = client::http().get(exporter.admin("/readyz")).send().await.ok()?;
        let text = response.text().await.ok()?;
        text.contains(says).then_some(())
    });
    assert!(found.await.is_some(), "not ready, but not for {says}:\n{}", exporter.process.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_lets_in_a_revoked_one_is_told_and_a_new_one_counts_at_once() {
    let (operator, dir) = (Operator::new(), tempfile::tempdir().expect("a directory"));
    let file = dir.path().join("weir.creds");
    let (first, second) = (operator.user(), operator.user());
    first.write(&file);
    let mut nats =
        Nats::configured(&operator.config(&[]), &[]).await.unwrap_or_else(|error| panic!("{error}"));
    let backend = Endpoint::counting().await;
    let config =
        format!("{QUICK}nats: {{ credentials: \"{}\" }}\n{}", file.display(), destination(&backend, ""));
    let exporter = exporter(&nats.url(), &config).await;
    let mut source = Source::new();
    let ids = source.store(&exporter.url(), 20).await;
    backend.wait_for_events(&ids).await;
    settled(&exporter, "d", 20).await;

    std::fs::write(nats.process.dir().join("nats.conf"), operator.config(&[&first])).expect("a file");
    nats.process.kill();
    nats.process.restart().await.expect("NATS is back");
    not_ready_for(
        &exporter,
        "does not let the exporter in (authorization violation): look at nats.credentials",
    )
    .await;
    assert_eq!(source.batch(1).post(&exporter.url()).await.expect("an answer").0, 503);

    std::fs::write(&file, "not what it was").expect("a file");
    not_ready_for(&exporter, "weir.creds has no NATS USER JWT").await;
    second.write(&file);
    let ids = Source::new().store(&exporter.url(), 20).await;
    backend.wait_for_events(&ids).await;
    settled(&exporter, "d", 40).await;
    let shown = exporter.process.log() + &status(&exporter).await.to_string() + &metrics(&exporter).await;
    first.is_not_in(&shown);
    second.is_not_in(&shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_strangers_account_and_a_file_that_is_none_are_refused_with_the_settings_name() {
    let (operator, dir) = (Operator::new(), tempfile::tempdir().expect("a directory"));
    let file = dir.path().join("weir.creds");
    let nats = Nats::configured(&operator.config(&[]), &[]).await.unwrap_or_else(|error| panic!("{error}"));
    let stranger = Operator::new().user();
    stranger.write(&file);
    let config = format!("nats: {{ credentials: \"{}\" }}\ndestinations: {{}}\n", file.display());
    let options = Options { config: Some(&config), unready: true, ..Options::default() };
    let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
    not_ready_for(&exporter, "look at nats.credentials").await;
    stranger.is_not_in(&exporter.process.log());

    std::fs::write(&file, stranger.jwt.as_bytes()).expect("a file");
    std::fs::write(dir.path().join("exporter.yaml"), &config).expect("a file");
    let checked = Command::new(tools::binary("weir-exporter").expect("the exporter"))
        .args(["check", "--config", "exporter.yaml"])
        .current_dir(dir.path())
        .env_clear()
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success(), "{said}");
    assert!(said.contains("nats.credentials: ") && said.contains("has no NATS USER JWT"), "{said}");
    stranger.is_not_in(&said);
}
