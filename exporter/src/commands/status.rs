//! `status`: what a running exporter says of itself, as a table.

use std::time::Duration;

use serde_json::Value;

use super::output::{no_exporter, say};
use crate::app::settings::Settings;

/// Timeout of the request.
const DEADLINE: Duration = Duration::from_secs(5);

/// The largest response that is read.
const MAX_ANSWER: usize = 8 << 20;

/// How long rates are measured.
const RATE: Duration = Duration::from_secs(1);

/// The columns of a destination's ledger.
const COLUMNS: [&str; 10] = [
    "stored",
    "delivered",
    "rejected",
    "dead_lettered",
    "filtered",
    "evicted",
    "purged",
    "backlog",
    "duplicates",
    "doubtful",
];

/// The figures shown of the gateway's workers: the first is the sum of the others.
const SOURCES: [&str; 6] = ["created", "stored", "refused", "dropped", "sampled_out", "unsent"];

/// Asks the exporter that these settings describe.
pub async fn status(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let url = format!("http://{}/status", settings.admin_listen);
    let first = ask(&url).await?;
    if json {
        say(&format!("{first:#}"));
        return Ok(());
    }
    tokio::time::sleep(RATE).await;
    let second = ask(&url).await?;
    say(&text(&first, &second));
    Ok(())
}

async fn ask(url: &str) -> anyhow::Result<Value> {
    let failed = |error: reqwest::Error| no_exporter(url, &error.without_url());
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().map_err(failed)?;
    let mut response = client.get(url).send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(no_exporter(url, &"its answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| no_exporter(url, &"its answer is no status"))
}

fn text(first: &Value, second: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let figure = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let none = Vec::new();
    let destinations = |status: &'_ Value| status.get("destinations").and_then(Value::as_array).cloned();
    let (before, after) = (destinations(first).unwrap_or_default(), destinations(second).unwrap_or(none));
    let mut lines = Vec::new();
    let version = second.get("version").map(word).unwrap_or_default();
    lines.push(match second.get("why_not").and_then(Value::as_str) {
        Some(why) => format!("weir-exporter {version}: NOT READY: {why}"),
        None => format!("weir-exporter {version}: ready"),
    });
    if let Some(why) = second.get("configuration").and_then(Value::as_str) {
        lines.push(format!("The configuration on disk is refused, the one before goes on: {why}"));
    }
    if let Some(settings) = second.get("settings").filter(|settings| settings.is_object()) {
        lines.extend(saved(settings));
    }
    if let Some(gateway) = second.get("gateway").filter(|gateway| gateway.is_object()) {
        let sums = gateway.get("sums").cloned().unwrap_or_default();
        let figures: Vec<_> = SOURCES.iter().map(|name| format!("{name} {}", figure(&sums, name))).collect();
        let workers = figure(gateway, "sources");
        let named = if workers == 1 { "worker" } else { "workers" };
        lines.push(format!("gateway: {workers} {named}, {}", figures.join(", ")));
        lines.push(format!("  of those unsent {} are missing", figure(&sums, "missing")));
    }
    if let Some(ingest) = second.get("ingest").filter(|ingest| ingest.is_object()) {
        let rate = figure(ingest, "stored")
            .saturating_sub(first.get("ingest").map_or(0, |before| figure(before, "stored")));
        lines.push(format!(
            "ingest: {} stored since the start, {rate}/s; {} refused, {} compressed, {} without content",
            figure(ingest, "stored"),
            figure(ingest, "refused"),
            figure(ingest, "compressed"),
            figure(ingest, "stripped"),
        ));
    }
    for one in &after {
        let name = one.get("name").map(word).unwrap_or_default();
        let earlier = before.iter().find(|other| other.get("name") == one.get("name"));
        let rate = figure(one, "delivered")
            .saturating_sub(earlier.map_or(0, |earlier| figure(earlier, "delivered")));
        let condition = one.get("condition").map(word).unwrap_or_default();
        let reason = one.get("reason").and_then(Value::as_str).map(|reason| format!(" ({reason})"));
        lines.push(format!("{name}: {condition}{}, {rate}/s", reason.unwrap_or_default()));
        let ledger: Vec<_> = COLUMNS.iter().map(|name| format!("{name} {}", figure(one, name))).collect();
        lines.push(format!("  {}", ledger.join(", ")));
        match one.get("unaccounted").and_then(Value::as_i64) {
            None | Some(0) => {}
            Some(open) => {
                lines.push(format!("  unaccounted {open}: events under way, else ask again in a moment"));
            }
        }
    }
    lines.join("\n")
}

/// What is made on the page.
fn saved(settings: &Value) -> Vec<String> {
    if settings.get("enabled").and_then(Value::as_bool) != Some(true) {
        return vec!["page: settings are made in exporter.yaml only".to_owned()];
    }
    let figure = |name: &str| settings.get(name).and_then(Value::as_u64).unwrap_or_default();
    let content = match settings.get("content").and_then(Value::as_str) {
        Some("keep") => "content as the gateway's configuration says",
        Some("exclude") => "content excluded",
        _ => "the capture policy is not known yet",
    };
    let (count, revision) = (figure("saved"), figure("revision"));
    let are = if count == 1 { "destination" } else { "destinations" };
    let mut lines = vec![format!("page: {count} {are} saved (revision {revision}), {content}")];
    if let Some(why) = settings.get("wrong").and_then(Value::as_str) {
        lines.push(format!("  what is saved is not followed, what was known last holds: {why}"));
    }
    for (name, why) in settings.get("off").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("  {name} is saved and does not run: {}", why.as_str().unwrap_or_default()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told_in_words_with_rates() {
        let status = |delivered: u64| {
            json!({
                "version": "1", "ready": true, "why_not": null, "configuration": "stream: no",
                "settings": {
                    "enabled": true, "saved": 2, "revision": 7, "content": "exclude",
                    "wrong": null, "off": { "mw": "key: no" }
                },
                "gateway": { "sources": 2, "sums": { "created": 9, "stored": 7, "unsent": 2, "missing": 1 } },
                "destinations": [{
                    "name": "mw", "condition": "retrying", "reason": "HTTP 503", "stored": 20,
                    "delivered": delivered, "backlog": 20 - delivered, "unaccounted": 0
                }]
            })
        };
        let text = text(&status(3), &status(10));
        for part in [
            "gateway: 2 workers, created 9, stored 7, refused 0, dropped 0, sampled_out 0, unsent 2",
            "of those unsent 1 are missing",
            "mw: retrying (HTTP 503), 7/s",
            "stored 20, delivered 10",
            "stream: no",
            "ready",
            "2 destinations saved (revision 7), content excluded",
            "mw is saved and does not run: key: no",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
