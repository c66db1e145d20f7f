//! nats.conf: TLS, JetStream, and what each user may do.
//!
//! A user may publish to what it names and listen to what answers it, and to nothing else. The names of subjects
//! are those of NATS's JetStream API, which [ADR-1 of NATS](https://github.com/nats-io/nats-architecture-and-design)
//! describes.

use std::{fmt::Write as _, path::Path};

use super::User;

/// Memory on disk is fsynced this often: what NATS has acknowledged survives its own end at once, and that of the
/// whole machine after so long.
const SYNC_INTERVAL: &str = "1s";

/// What a nats.conf is made of.
pub(super) struct Node<'a> {
    pub(super) hosts: &'a [String],
    /// Where the certificates lie, as NATS sees it.
    pub(super) dir: &'a Path,
    /// The users and their public keys.
    pub(super) users: &'a [(User, String)],
    /// What the nodes of a cluster say to one another.
    pub(super) password: &'a str,
}

/// The file's text. The same for every node: a node's name is said on its command line.
pub(super) fn render(node: &Node<'_>) -> String {
    let dir = node.dir.display();
    let tls =
        format!("cert_file: \"{dir}/server.pem\", key_file: \"{dir}/server.key\", ca_file: \"{dir}/ca.pem\"");
    let mut text = format!(
        "# Made by `weir-config bus new`. Says which users there are, and holds none of their secrets.
listen: \"0.0.0.0:4222\"
# For health checks from within.
http: \"127.0.0.1:8222\"
max_payload: 8MB
tls {{ {tls} }}
jetstream {{
  store_dir: \"/var/lib/weir-nats\"
  # What is acknowledged survives the end of NATS at once, and that of the machine after so long.
  sync_interval: \"{SYNC_INTERVAL}\"
}}
authorization {{
  users: [
"
    );
    for (user, key) in node.users {
        let (publish, subscribe) = permissions(*user);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "    # {}\n    {{\n      nkey: {key}\n      permissions: {{\n        publish: [{}]\n        subscribe: [{}]\n      }}\n    }}\n",
            user.name(),
            quoted(&publish),
            quoted(&subscribe),
        );
    }
    text.push_str("  ]\n}\n");
    if node.hosts.len() > 1 {
        let password = node.password;
        let routes: Vec<String> =
            node.hosts.iter().map(|host| format!("nats-route://node:{password}@{host}:6222")).collect();
        let _ = write!(
            text,
            "cluster {{
  name: weir
  listen: \"0.0.0.0:6222\"
  authorization {{ user: node, password: \"{password}\", timeout: 2 }}
  tls {{ {tls}, verify: true, timeout: 5 }}
  routes: [{}]
}}
",
            quoted(&routes),
        );
    }
    text
}

fn quoted<T: AsRef<str>>(subjects: &[T]) -> String {
    subjects.iter().map(|subject| format!("\"{}\"", subject.as_ref())).collect::<Vec<_>>().join(", ")
}

/// What a user may publish to, and listen to. Answers come to a prefix of its own, which the exporter's clients take
/// too: one that all shared would let each listen to what is delivered to the others.
fn permissions(user: User) -> (Vec<String>, Vec<String>) {
    let mut publish = match user {
        // No consumer, no message: what is stored it cannot read.
        // Of the ledgers it has its sources' alone.
        User::Ingest => [
            "weir.events.>",
            "$JS.API.STREAM.INFO.WEIR_EVENTS",
            "$KV.WEIR_LEDGER.source.*",
            "$JS.API.STREAM.INFO.KV_WEIR_LEDGER",
            "$JS.API.DIRECT.GET.KV_WEIR_LEDGER.$KV.WEIR_LEDGER.source.*",
        ]
        .map(str::to_owned)
        .to_vec(),
        User::Ship => [
            keeps("WEIR_EVENTS", "weir.events.>"),
            keeps("WEIR_DEAD_LETTERS", "weir.dead.>"),
            keeps("KV_WEIR_LEDGER", "$KV.WEIR_LEDGER.>"),
        ]
        .concat(),
        User::Settings => Vec::new(),
    };
    match user {
        // Settings are made on the page, which is served where spans are shipped, and hold no events.
        User::Ship | User::Settings => {
            publish.extend(keeps("KV_WEIR_SETTINGS", "$KV.WEIR_SETTINGS.>"));
            publish.extend(keeps("WEIR_AUDIT", "weir.audit"));
            publish.push("$JS.API.INFO".to_owned());
        }
        User::Ingest => publish.extend(reads("KV_WEIR_SETTINGS")),
    }
    (publish, vec![format!("_INBOX_weir_{}.>", user.name())])
}

/// All that can be done with a stream that takes these subjects.
fn keeps(stream: &str, subjects: &str) -> Vec<String> {
    let mut all = vec![
        subjects.to_owned(),
        format!("$JS.API.STREAM.*.{stream}"),
        format!("$JS.API.STREAM.MSG.*.{stream}"),
        format!("$JS.ACK.{stream}.>"),
    ];
    all.extend(reads(stream));
    all
}

/// All that it takes to read a stream.
fn reads(stream: &str) -> Vec<String> {
    [
        "$JS.API.STREAM.INFO.{}",
        "$JS.API.DIRECT.GET.{}",
        "$JS.API.DIRECT.GET.{}.>",
        "$JS.API.CONSUMER.*.{}",
        "$JS.API.CONSUMER.*.{}.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.{}.>",
        "$JS.API.CONSUMER.MSG.NEXT.{}.>",
        "$JS.FC.{}.>",
    ]
    .iter()
    .map(|subject| subject.replace("{}", stream))
    .collect()
}
