//! The gateway that long runs go through: everything on, as a user would have it.

use std::net::SocketAddr;

use super::caller::{ALONE, SAFE};
use crate::stack::envoy::Addresses;

/// The digest of [`super::caller::KEY`].
const DIGEST: &str = "a8442a72ca065954e427cc3128fda96fc7cc80aaf6c0a96291c14e9ecafb9d56";

/// Its gateway.yaml. Provider `a` is tried before provider `b`; the model [`ALONE`] knows only `a`.
pub fn yaml(at: Addresses, [a, b]: [SocketAddr; 2], exporter: &str) -> String {
    format!(
        "listen: {listen}
admin: {admin}
providers:
  a: {{ api: openai, url: \"http://{a}/v1\" }}
  b: {{ api: openai, url: \"http://{b}/v1\" }}
models:
  {SAFE}:
    strategy: priority
    targets: [{{ provider: a, model: gpt-4o }}, {{ provider: b, model: gpt-4o-eu }}]
    timeouts: {{ first_token: 3s, request: 10s }}
  {ALONE}: {{ targets: [{{ provider: a, model: gpt-4o }}], timeouts: {{ request: 10s }} }}
keys:
  - {{ name: team-a, sha256: \"{DIGEST}\", metadata: {{ team: a }} }}
redaction:
  exported: {{ content: redact, detectors: [email, phone, credit_card, secrets] }}
  forwarded: {{ action: mask, detectors: [credit_card, secrets] }}
exporter: {{ url: \"{exporter}\" }}
",
        listen = at.listen,
        admin = at.admin,
    )
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_gateway_is_valid_and_knows_the_callers_key() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let at = Addresses { listen: address, admin: SocketAddr::from(([127, 0, 0, 1], 10)) };
        weir_config::Gateway::parse(&yaml(at, [address; 2], "http://127.0.0.1:4319"))
            .expect("a valid gateway");
        let digest = Sha256::digest(super::super::caller::KEY);
        assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), DIGEST);
    }
}
