//! Providers with a certificate of a private CA, which ask for one in turn, and behind a proxy.

use tempfile::TempDir;
use weir_tests::{
    fakes::provider::Provider,
    stack::{Options, Stack, question},
    system::ports,
};

use weir_tests::fakes::tls::{Certificates, Forwarder};

/// The name that the provider's certificate has. Nothing resolves it.
const NAME: &str = "llm.invalid";

/// A stack whose provider is reached by the URL, TLS and proxy that `way` gives.
async fn start(way: &str) -> Stack {
    let way = way.to_owned();
    let options = Options::default().yaml(move |wiring| {
        format!(
            "listen: {}\n\
             admin: {}\n\
             providers:\n\
             \x20 openai: {{ api: openai, key: {{ env: WEIR_TEST_KEY_0 }}, {way} }}\n\
             models: {{ gpt-4o: {{ targets: [{{ provider: openai }}] }} }}\n",
            wiring.gateway.listen, wiring.gateway.admin,
        )
    });
    options.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_reached_by_its_own_ca_and_name_and_with_our_certificate_and_not_without() {
    let (dir, provider) = (TempDir::new().expect("a directory"), Provider::start().await);
    let certificates = Certificates::new(&[NAME]);
    certificates.write(dir.path());
    let server = Forwarder::tls(&certificates, provider.address()).await;
    let file = |name: &str| dir.path().join(name).display().to_string();
    let ca = format!("ca: {}", file("ca.pem"));
    let identity = format!("certificate: {}, private_key: {}", file("client.pem"), file("client.key"));
    let (name, other) = (format!("server_name: {NAME}"), "server_name: other.invalid".to_owned());
    let url = format!("url: \"https://{}/v1\"", server.address);

    let stack = start(&format!("{url}, tls: {{ {ca}, {identity}, {name} }}")).await;
    stack.chat().await;
    assert_eq!(server.asked(), [NAME]);
    assert_eq!(provider.received().len(), 1);
    drop(stack);

    for (what, tls) in [
        ("the system's CAs", [&identity, &name].as_slice()),
        ("no certificate of our own", &[&ca, &name]),
        ("another name", &[&ca, &identity, &other]),
    ] {
        let tls: Vec<&str> = tls.iter().map(|field| field.as_str()).collect();
        let stack = start(&format!("{url}, tls: {{ {} }}", tls.join(", "))).await;
        let answered = stack.send(question().to_string()).await;
        assert_eq!(answered.status, 502, "{what}: {answered:?}");
        assert_eq!(provider.received().len(), 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_the_providers_name_and_sees_no_key() {
    let (dir, provider) = (TempDir::new().expect("a directory"), Provider::start().await);
    let certificates = Certificates::new(&[NAME]);
    certificates.write(dir.path());
    let server = Forwarder::tls(&certificates, provider.address()).await;
    let proxy = Forwarder::proxy(server.address).await;
    let file = |name: &str| dir.path().join(name).display().to_string();
    let stack = start(&format!(
        "url: \"https://{NAME}:8443/v1\", proxy: \"http://localhost:{}\", \
         tls: {{ ca: {}, certificate: {}, private_key: {} }}",
        proxy.address.port(),
        file("ca.pem"),
        file("client.pem"),
        file("client.key"),
    ))
    .await;
    stack.chat().await;
    assert_eq!(
        proxy.asked(),
        [format!("CONNECT {NAME}:8443 HTTP/1.1\r\nhost: {NAME}:8443\r\n\r\n")],
        "nothing but where to"
    );
    assert_eq!(server.asked(), [NAME]);
    assert!(provider.last().await.header("authorization").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_reached_is_an_attempt_that_could_not_connect_so_the_next_target_is_tried() {
    let provider = Provider::start().await;
    let (other, nobody) = (provider.address(), ports::free().expect("a free port"));
    let options = Options::default().yaml(move |wiring| {
        format!(
            "listen: {}\n\
             admin: {}\n\
             providers:\n\
             \x20 far: {{ api: openai, url: \"https://{NAME}/v1\", proxy: \"http://localhost:{nobody}\" }}\n\
             \x20 near: {{ api: openai, url: \"http://{other}/v1\" }}\n\
             models: {{ gpt-4o: {{ targets: [{{ provider: far }}, {{ provider: near }}] }} }}\n",
            wiring.gateway.listen, wiring.gateway.admin,
        )
    });
    let stack = options.start().await;
    let answered = stack.chat().await;
    assert_eq!(provider.received().len(), 1);
    assert_eq!(answered.headers["x-weir-attempts"], "2");
}
