//! nats.conf: TLS, JetStream, and what each user may do.
//!
//! Ship has the account that all is stored in. Ingest and settings have accounts of their own, where nothing is stored
//! and nobody else listens, and import from ship's the subjects that they need. Permissions to publish alone would
//! not be enough: NATS checks the subject of a request and not its reply subject, so a client that may call JetStream
//! could have it publish the response to any subject of the same account. A user may publish to the subjects
//! listed here and receive the replies, and nothing else. The names of subjects are those of NATS's JetStream API, which
//! [ADR-1 of NATS](https://github.com/nats-io/nats-architecture-and-design) describes.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use super::user::User;

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

/// The file's text. The same for every node: a node's name is said on its command line. Its accounts are YAML too, for
/// who gives them to NATS's chart; NATS could do without the commas.
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
accounts {{
"
    );
    for (user, key) in node.users {
        text.push_str(&account(*user, key));
    }
    text.push_str("}\n");
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

/// A user's account, with the user.
///
/// Answers come to a prefix of its own, which the exporter's clients take too: within one account one that all
/// shared would let each listen to what is delivered to the others.
fn account(user: User, key: &str) -> String {
    let (name, account, asks) = (user.name(), account_of(user), asks(user));
    let (publish, services) = if user == User::Ship { (asks, stores()) } else { borrows(&asks) };
    let publish = lines(publish.iter().map(|subject| format!("\"{subject}\"")));
    format!(
        "  {account}: {{
    users: [{{ nkey: {key}, permissions: {{ subscribe: [\"_INBOX_weir_{name}.>\"], publish: {publish} }} }}],
    {services}
  }},
"
    )
}

/// What makes an account the one that all is stored in.
fn stores() -> String {
    let asked: BTreeSet<String> = [User::Ingest, User::Settings].into_iter().flat_map(asks).collect();
    let exports = asked.iter().map(|subject| format!("{{ service: \"{subject}\" }}"));
    format!("jetstream: enabled,\n    exports: {}", lines(exports))
}

/// What lets an account without a store ask ship's for these subjects, and what its user publishes to for that.
///
/// Calls of JetStream's API go by another name on their way: under their own the server would reply too, that
/// this account has no JetStream. NATS maps a subject before it looks at permissions.
fn borrows(asks: &[String]) -> (Vec<String>, String) {
    let (mut publish, mut mappings, mut imports) = (Vec::new(), String::new(), Vec::new());
    let from = account_of(User::Ship);
    for subject in asks {
        let service = format!("service: {{ account: {from}, subject: \"{subject}\" }}");
        if let Some(call) = subject.strip_prefix("$JS.API.STREAM.") {
            let aside = format!("weir.api.STREAM.{call}");
            // Writing to a string cannot fail.
            let _ = write!(mappings, "\n      \"{subject}\": \"{aside}\",");
            imports.push(format!("{{ {service}, to: \"{aside}\" }}"));
            publish.push(aside);
        } else {
            imports.push(format!("{{ {service} }}"));
            publish.push(subject.clone());
        }
    }
    (publish, format!("mappings: {{{mappings}\n    }},\n    imports: {}", lines(imports.into_iter())))
}

fn account_of(user: User) -> String {
    format!("WEIR_{}", user.name().to_uppercase())
}

fn lines(items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("\n      {item},")).collect();
    format!("[{items}\n    ]")
}

/// What a user asks of NATS: what the code of that part calls, and nothing besides.
fn asks(user: User) -> Vec<String> {
    match user {
        User::Ingest => owned(&[
            "weir.events.v1",
            "$JS.API.STREAM.INFO.WEIR_EVENTS",
            // Of the ledgers it has its sources' alone.
            "$KV.WEIR_LEDGER.source.*",
            "$JS.API.STREAM.INFO.KV_WEIR_LEDGER",
            "$JS.API.DIRECT.GET.KV_WEIR_LEDGER.$KV.WEIR_LEDGER.source.*",
            // Of the settings the capture policy.
            "$JS.API.STREAM.INFO.KV_WEIR_SETTINGS",
            "$JS.API.DIRECT.GET.KV_WEIR_SETTINGS.$KV.WEIR_SETTINGS.policy",
            "$JS.API.DIRECT.GET.KV_WEIR_SETTINGS.$KV.WEIR_SETTINGS.exclusion",
        ]),
        User::Ship => [
            // Asked before a bucket is made.
            owned(&["$JS.API.INFO"]),
            makes(
                "WEIR_EVENTS",
                "weir.events.>",
                &["$JS.API.STREAM.UPDATE.{}", "$JS.API.STREAM.PURGE.{}", "$JS.API.STREAM.MSG.GET.{}"],
            ),
            consumes("WEIR_EVENTS"),
            makes(
                "WEIR_DEAD_LETTERS",
                "weir.dead.*",
                &["$JS.API.STREAM.UPDATE.{}", "$JS.API.STREAM.MSG.GET.{}", "$JS.API.STREAM.MSG.DELETE.{}"],
            ),
            makes(
                "KV_WEIR_LEDGER",
                "$KV.WEIR_LEDGER.>",
                &["$JS.API.STREAM.UPDATE.{}", "$JS.API.DIRECT.GET.{}.$KV.WEIR_LEDGER.>"],
            ),
            // Settings are made on the page, which is served where spans are shipped.
            makes("KV_WEIR_SETTINGS", "$KV.WEIR_SETTINGS.>", &["$JS.API.DIRECT.GET.{}.$KV.WEIR_SETTINGS.>"]),
            watches("KV_WEIR_SETTINGS"),
            // Entries are added to the audit trail; none is changed or taken out.
            makes("WEIR_AUDIT", "weir.audit", &["$JS.API.STREAM.MSG.GET.{}"]),
        ]
        .concat(),
        // No stream of its own making: one that copies another would expose what that one holds.
        User::Settings => owned(&[
            "$KV.WEIR_SETTINGS.>",
            "$JS.API.STREAM.INFO.KV_WEIR_SETTINGS",
            "$JS.API.DIRECT.GET.KV_WEIR_SETTINGS.$KV.WEIR_SETTINGS.>",
            "weir.audit",
            "$JS.API.STREAM.INFO.WEIR_AUDIT",
            "$JS.API.STREAM.MSG.GET.WEIR_AUDIT",
        ]),
    }
}

/// Making a stream that takes these subjects, writing to it, and what else is done with it.
fn makes(stream: &str, subjects: &str, more: &[&str]) -> Vec<String> {
    let mut all = vec![subjects.to_owned()];
    all.extend(named(stream, &["$JS.API.STREAM.INFO.{}", "$JS.API.STREAM.CREATE.{}"]));
    all.extend(named(stream, more));
    all
}

/// Making consumers of a stream, and pulling from them.
fn consumes(stream: &str) -> Vec<String> {
    let mut all = named(
        stream,
        &[
            "$JS.API.CONSUMER.INFO.{}.*",
            "$JS.API.CONSUMER.NAMES.{}",
            "$JS.API.CONSUMER.LIST.{}",
            "$JS.API.CONSUMER.MSG.NEXT.{}.*",
            "$JS.ACK.{}.>",
        ],
    );
    all.extend(makes_consumers(stream));
    all
}

/// Watching a bucket: by a consumer that is made anew where a message of it was missed.
fn watches(stream: &str) -> Vec<String> {
    let mut all = named(stream, &["$JS.FC.{}.>"]);
    all.extend(makes_consumers(stream));
    all
}

fn makes_consumers(stream: &str) -> Vec<String> {
    named(
        stream,
        &["$JS.API.CONSUMER.CREATE.{}", "$JS.API.CONSUMER.CREATE.{}.>", "$JS.API.CONSUMER.DELETE.{}.*"],
    )
}

fn named(stream: &str, subjects: &[&str]) -> Vec<String> {
    subjects.iter().map(|subject| subject.replace("{}", stream)).collect()
}

fn owned(subjects: &[&str]) -> Vec<String> {
    subjects.iter().map(|subject| (*subject).to_owned()).collect()
}
