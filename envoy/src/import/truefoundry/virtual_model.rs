//! TrueFoundry's virtual models (`provider-account/virtual-model`), and its older routing
//! configuration for all models (`gateway-load-balancing-config`).

use serde_json::{Map, Value, json};

use crate::import::common::error::ImportError;
use crate::import::common::keys::is_secret_header;
use crate::import::common::notes::Notes;
use crate::import::common::routing::{Draft, KNOWN, known};
use crate::import::common::value::{duration, items, number, statuses};
use crate::yaml::set;

/// Most attempts at one target that ours makes.
const ATTEMPTS_MAX: u64 = 5;

pub(in crate::import) fn gateway(file: &Value, notes: &mut Notes) -> Result<Value, ImportError> {
    let mut draft = Draft::default();
    KNOWN.iter().for_each(|(.., usual)| draft.variables.reserve(usual));
    match file["type"].as_str() {
        Some("provider-account/virtual-model") => {
            let group = file["name"].as_str().unwrap_or("virtual");
            for (index, integration) in items(&file["integrations"]).enumerate() {
                let path = format!("integrations[{index}]");
                let Some(name) = integration["name"].as_str() else {
                    notes.add(&path, "has no name");
                    continue;
                };
                // As its callers know it.
                let name = format!("{group}/{name}");
                let at = format!("{path}.routing_config");
                model(&name, &at, &integration["routing_config"], None, &mut draft, notes);
                let known = "name type routing_config model_types";
                notes.others(&path, integration, known, "has no equal here");
            }
            notes.others("the file", file, "name type integrations collaborators", "has no equal here");
            if !file["collaborators"].is_null() {
                notes.add("collaborators", "who may use a model is said by `models` of each caller's key");
            }
        }
        Some("gateway-load-balancing-config") => {
            for (index, rule) in items(&file["rules"]).enumerate() {
                let path = format!("rules[{index}]");
                let when = &rule["when"];
                if items(&when["subjects"]).any(|subject| subject != "*") {
                    notes.add(
                        &format!("{path}.when.subjects"),
                        "a target can ask for a key by `when: { key: NAME }`; the rule is for everybody now",
                    );
                }
                for name in items(&when["models"]).filter_map(Value::as_str) {
                    if draft.models.contains_key(name) {
                        notes.add(&path, &format!("an earlier rule is about {name:?} too; ours has one for each model, so this one is left out"));
                        continue;
                    }
                    let metadata = when["metadata"].as_object().filter(|metadata| !metadata.is_empty());
                    model(name, &path, rule, metadata, &mut draft, notes);
                }
            }
        }
        _ => {
            return Err(ImportError::Unknown(
                "type: is neither provider-account/virtual-model nor gateway-load-balancing-config; for an OTEL Config \
                 say truefoundry-otel"
                    .to_owned(),
            ));
        }
    }
    if draft.models.is_empty() {
        return Err(ImportError::Unknown("no model with targets was found".to_owned()));
    }
    Ok(draft.finish(notes))
}

/// Adds the model that a routing configuration is.
fn model(
    name: &str,
    path: &str,
    routing: &Value,
    metadata: Option<&Map<String, Value>>,
    draft: &mut Draft,
    notes: &mut Notes,
) {
    let strategy = match routing["type"].as_str() {
        Some("weight-based-routing") => "weighted",
        Some("latency-based-routing") => "latency",
        Some("priority-based-routing") => "priority",
        other => {
            let message = format!(
                "{:?} is no strategy that we know; taken for priority-based-routing",
                other.unwrap_or_default()
            );
            notes.add(&format!("{path}.type"), &message);
            "priority"
        }
    };
    let mut targets: Vec<(f64, Value)> = Vec::new();
    let (mut attempts, mut delay, mut retry_on, mut fallback_on) = (1, None, Vec::new(), Vec::new());
    for (index, written) in items(&routing["load_balance_targets"]).enumerate() {
        let at = format!("{path}.load_balance_targets[{index}]");
        let Some(target) = target(&at, written, strategy, metadata, draft, notes) else { continue };
        targets.push((number(&written["priority"]).unwrap_or(0.0), target));
        let retry = &written["retry_config"];
        // There it is how often one is tried again, here how often in all.
        attempts = attempts.max(retry["attempts"].as_u64().unwrap_or(0).saturating_add(1).min(ATTEMPTS_MAX));
        delay = delay.or_else(|| number(&retry["delay"]).filter(|ms| (1.0..=10_000.0).contains(ms)));
        retry_on.extend(statuses(&retry["on_status_codes"]));
        fallback_on.extend(statuses(&written["fallback_status_codes"]));
    }
    if targets.is_empty() {
        notes.add(path, &format!("no target of {name:?} can be carried over"));
        return;
    }
    if targets.len() > 1 && routing["load_balance_targets"].to_string().contains("retry_config") {
        notes.add(path, "retries and fallback are of the whole model here, and not of each target: the most that any asks for");
    }
    targets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let targets: Vec<Value> = targets.into_iter().map(|(_, target)| target).collect();
    let mut model = json!({"strategy": strategy, "targets": targets});
    let sorted = |mut statuses: Vec<u64>| {
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    };
    if attempts > 1 {
        let mut retry = json!({"attempts": attempts});
        if !retry_on.is_empty() {
            set(&mut retry, "on", sorted(retry_on));
        }
        if let Some(delay) = delay.and_then(|ms| duration(ms / 1000.0)) {
            set(&mut retry, "backoff", delay);
        }
        set(&mut model, "retry", retry);
    }
    if !fallback_on.is_empty() {
        set(&mut model, "fallback", json!({"on": sorted(fallback_on)}));
    }
    if let Some(sticky) = sticky(path, &routing["sticky_routing"], notes) {
        set(&mut model, "sticky", sticky);
    }
    let known = "type load_balance_targets sticky_routing id when name";
    notes.others(path, routing, known, "has no equal here");
    draft.models.insert(name.to_owned(), model);
}

fn target(
    at: &str,
    written: &Value,
    strategy: &str,
    metadata: Option<&Map<String, Value>>,
    draft: &mut Draft,
    notes: &mut Notes,
) -> Option<Value> {
    let Some((account, model)) = written["target"].as_str().and_then(|target| target.split_once('/')) else {
        notes.add(&format!("{at}.target"), "is not of the form account/model");
        return None;
    };
    let Some((kind, api, url, variable)) = known(account) else {
        let message = format!(
            "which API the account {account:?} speaks is not said here and cannot be seen from its name; it is left out"
        );
        notes.add(&format!("{at}.target"), &message);
        return None;
    };
    notes.add(
        &format!("{at}.target"),
        &format!("what the account {account:?} is was guessed from its name: check api, url and key of providers.{account}"),
    );
    let url = if url.is_empty() { "http://set-me.invalid" } else { url };
    let mut provider = json!({"api": api, "url": url});
    if !variable.is_empty() {
        // Two accounts have two keys, whose hosts the file does not say.
        let preferred = Some(*variable).filter(|_| account == *kind);
        let variable = draft.variables.own(account, account, preferred, account, "API_KEY");
        set(&mut provider, "key", json!({"env": variable}));
    }
    let provider = draft.provider(account, provider);
    let mut target = json!({"provider": provider, "model": model});
    if let (Some(weight), "weighted") = (written["weight"].as_u64(), strategy) {
        set(&mut target, "weight", weight);
    }
    if written["fallback_candidate"] == json!(false) {
        set(&mut target, "fallback", false);
    }
    let asked = written["metadata_match"].as_object().or(metadata);
    if let Some(asked) = asked {
        set(&mut target, "when", json!({"metadata": asked}));
    }
    let mut params = written["override_params"].as_object().cloned().unwrap_or_default();
    if params.remove("prompt_version_fqn").is_some() {
        notes.add(&format!("{at}.override_params.prompt_version_fqn"), "prompts are not stored here");
    }
    if !params.is_empty() {
        set(&mut target, "params", params);
    }
    let headers = &written["headers_override"];
    if headers.is_object() {
        let mut ours = json!({});
        if let Some(given) = headers["set"].as_object() {
            let (secret, harmless): (Vec<_>, Vec<_>) = given
                .iter()
                .partition(|(name, value)| is_secret_header(name, value.as_str().unwrap_or_default()));
            for (name, _) in secret {
                notes.add(
                    &format!("{at}.headers_override.set.{name}"),
                    "may be a secret and stays behind; a provider's credentials are its `key`",
                );
            }
            let lowercase =
                harmless.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
            set(&mut ours, "set", lowercase.collect::<Value>());
        }
        if headers["remove"].is_array() {
            set(&mut ours, "remove", headers["remove"].clone());
        }
        set(&mut target, "headers", ours);
    }
    let known = "target weight priority retry_config fallback_status_codes fallback_candidate \
         override_params metadata_match headers_override";
    notes.others(at, written, known, "has no equal here");
    Some(target)
}

/// Which requests stay together: by one thing here, by several there.
fn sticky(path: &str, written: &Value, notes: &mut Notes) -> Option<Value> {
    let at = format!("{path}.sticky_routing");
    let first = items(&written["session_identifiers"]).next()?;
    let (key, source) = (first["key"].as_str()?, first["source"].as_str().unwrap_or("metadata"));
    if items(&written["session_identifiers"]).nth(1).is_some() {
        notes.add(&format!("{at}.session_identifiers"), "requests stay together by the first one alone");
    }
    if source != "metadata" {
        notes.add(
            &format!("{at}.session_identifiers"),
            &format!("requests cannot stay together by {source}; let callers say it in x-weir-metadata, and use sticky: {{ by: metadata.{key} }}"),
        );
        return None;
    }
    let by = format!("metadata.{key}");
    let ttl = number(&written["ttl_seconds"]).and_then(duration).unwrap_or_else(|| "5m".to_owned());
    Some(json!({"by": by, "for": ttl}))
}
