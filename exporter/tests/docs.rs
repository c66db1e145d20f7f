//! What docs/ says of the exporter is what the exporter does: its spans' attributes, and its alerts.
//!
//! `WEIR_UPDATE=1 cargo test -p weir-exporter --test docs` writes docs/spans.md anew, from the names with their
//! comments and from the golden spans, which say where a name is found.

#![allow(clippy::panic, clippy::unwrap_used, clippy::string_slice, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The sections of the page: a heading, what is to be said of it, the names, and whether a name ending in a dot or
/// followed by an index stands for many.
const SECTIONS: [(&str, &str, &str); 3] = [
    (
        "Attributes",
        "Always, where they are known. `gen_ai.*`, `http.*`, `url.*`, `server.*`, `client.*` and `error.type` are the\n\
         conventions' (GenAI and OpenAI v1.41); what has none there is under `weir.`.",
        include_str!("../src/spans/names/mod.rs"),
    ),
    (
        "OpenInference",
        "Added where a destination says `overlays: [openinference]`, and for Middleware by itself.",
        include_str!("../src/spans/names/openinference.rs"),
    ),
    ("tfy.*", "Added where a destination says `overlays: [tfy]`.", include_str!("../src/spans/names/tfy.rs")),
];

const HEAD: &str = "\
<!-- Written by `make generate` from exporter/src/spans/names/mod.rs and the golden spans. -->

# Spans and attributes

One request is one trace, or a part of its caller's:

| span | kind | is |
|---|---|---|
| `POST /v1/chat/completions` | SERVER | the request as its caller saw it, under the caller's `traceparent` |
| `authenticate`, `resolve_model`, `redact` | INTERNAL | what the filter did before it asked, with the real times |
| `chat gpt-4o` | CLIENT | the operation: model, tokens, cost and, if kept, content; ERROR when it failed |
| `POST` | CLIENT | one for each attempt at a provider; those that failed stay, as ERROR |
| `stream` | INTERNAL | from the first token to the last |

`docs/operating.md` says what to watch, `exporter/prices.yaml` which prices costs come from. The rightmost column says
on which spans an attribute is found (nothing where the golden spans have no example of it).

A span's resource has besides the attributes of the Envoy that served the request (`host.*`, `container.*`, `k8s.*`,
`service.instance.id`, `weir.envoy.node.id`), see [where Envoy runs](envoy.md#where-envoy-runs), and those that the
exporter's configuration adds.
";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A name with its comment, as written.
fn names(source: &str) -> Vec<(String, String)> {
    let (mut found, mut comment) = (Vec::new(), String::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(text.trim());
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let name = constant.split('"').nth(1).unwrap_or_else(|| panic!("no name in {line}"));
            found.push((name.to_owned(), std::mem::take(&mut comment)));
        } else {
            comment.clear();
        }
    }
    found
}

/// The kind of span that one of this name is.
fn kind(span: &str) -> &'static str {
    match span {
        "authenticate" | "resolve_model" | "redact" => "INTERNAL",
        "stream" => "stream",
        "POST" | "GET" => "attempt",
        _ if span.contains(" /") => "SERVER",
        _ => "operation",
    }
}

/// For each attribute the kinds of spans that have it, by the golden files.
fn found() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found = BTreeMap::<String, BTreeSet<_>>::new();
    let mut note = |span: &str, attributes: &Value| {
        for name in attributes.as_object().into_iter().flat_map(|all| all.keys()) {
            found.entry(name.clone()).or_default().insert(kind(span));
        }
    };
    for file in fs::read_dir(top().join("exporter/tests/golden")).unwrap() {
        let golden: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        for span in golden["spans"].as_array().unwrap() {
            note(span["name"].as_str().unwrap(), &span["attributes"]);
        }
        for (span, attributes) in golden["overlays"].as_object().unwrap() {
            note(span, attributes);
        }
    }
    found
}

fn page() -> String {
    let (found, mut page) = (found(), HEAD.to_owned());
    for (heading, about, source) in SECTIONS {
        let _ = write!(page, "\n## {heading}\n\n{about}\n\n| attribute | is | on |\n|---|---|---|\n");
        for (name, comment) in names(source) {
            let is_there = |(there, _): &(&String, &BTreeSet<_>)| {
                **there == name
                    || (name.ends_with('.') && there.starts_with(&name))
                    || there.starts_with(&format!("{name}."))
            };
            let on: BTreeSet<_> =
                found.iter().filter(is_there).flat_map(|(_, kinds)| kinds).copied().collect();
            let on = if comment.starts_with("Resource") {
                "resource".to_owned()
            } else {
                on.into_iter().collect::<Vec<_>>().join(", ")
            };
            let more = if name.ends_with('.') { "*" } else { "" };
            let _ = writeln!(page, "| `{name}{more}` | {} | {on} |", comment.replace('|', "\\|"));
        }
    }
    page
}

#[test]
fn the_page_of_spans_is_what_the_code_says() {
    let (path, fresh) = (top().join("docs/spans.md"), page());
    let current = weir_settings::schema::is_current(&path, &fresh).unwrap();
    assert!(current, "docs/spans.md is stale: run `make generate`");
}

#[test]
fn every_attribute_of_the_golden_spans_is_on_the_page() {
    let page = page();
    let stands = |name: &str| {
        let mut part = name;
        loop {
            if page.contains(&format!("`{part}`")) || page.contains(&format!("`{part}.*`")) {
                return true;
            }
            match part.rfind('.') {
                Some(end) => part = &part[..end],
                None => return false,
            }
        }
    };
    let missing: Vec<_> = found().into_keys().filter(|name| !stands(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_alert_is_explained_for_operators() {
    let rules = fs::read_to_string(top().join("exporter/monitoring/alerts.yaml")).unwrap();
    let page = fs::read_to_string(top().join("docs/operating.md")).unwrap();
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in &alerts {
        assert!(page.contains(&format!("| `{alert}` |")), "docs/operating.md does not explain {alert}");
    }
    let explained = page.lines().filter_map(|line| line.strip_prefix("| `Weir")?.split('`').next());
    for name in explained {
        assert!(alerts.contains(&&*format!("Weir{name}")), "there is no alert Weir{name}");
    }
}
