//! LiteLLM's config.yaml: `model_list`, and what `router_settings` and `litellm_settings` say of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::routing::{Draft, known};
use super::{ImportError, Notes, duration, items, number};

/// Fields of `litellm_params` that are parameters of the request, and stay so.
const PARAMETERS: [&str; 9] = [
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "reasoning_effort",
    "stop",
];
/// Fields of it that say where the model is.
const PLACE: [&str; 9] = [
    "model",
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "weight",
    "order",
    "timeout",
    "custom_llm_provider",
];
/// How LiteLLM names a variable of its environment.
const ENVIRONMENT: &str = "os.environ/";
/// Most attempts at one target that ours makes.
const ATTEMPTS_MAX: f64 = 5.0;

pub(super) fn gateway(file: &Value, notes: &mut Notes) -> Result<Value, ImportError> {
    if !file["model_list"].is_array() {
        return Err(ImportError::Unknown(
            "model_list: is missing or no list; is this the config.yaml of LiteLLM's proxy?".to_owned(),
        ));
    }
    let mut draft = Draft::default();
    // LiteLLM's own precedence: the router's settings before the library's.
    let router = &file["router_settings"];
    let library = &file["litellm_settings"];
    let setting = |name: &str| {
        let given = [&router[name], &library[name]].into_iter().find(|value| !value.is_null());
        given.cloned().unwrap_or_default()
    };
    let mut groups: BTreeMap<String, Vec<(f64, Value)>> = BTreeMap::new();
    let mut timeouts = BTreeMap::new();
    for (index, entry) in items(&file["model_list"]).enumerate() {
        let path = format!("model_list[{index}]");
        let Some(name) = entry["model_name"].as_str() else {
            notes.add(&path, "has no model_name");
            continue;
        };
        if let Some(target) = target(&path, name, &entry["litellm_params"], &mut draft, notes) {
            let params = &entry["litellm_params"];
            groups
                .entry(name.to_owned())
                .or_default()
                .push((number(&params["order"]).unwrap_or(0.0), target));
            if let Some(timeout) = number(&params["timeout"]).and_then(duration) {
                timeouts.insert(name.to_owned(), timeout);
            }
        }
        if !entry["model_info"].is_null() {
            notes.add(
                &format!("{path}.model_info"),
                "prices are the exporter's: WEIR_PRICES names a file of your own",
            );
        }
    }
    if groups.is_empty() {
        return Err(ImportError::Unknown("model_list: no model of it can be carried over".to_owned()));
    }

    let ordered = groups.values().any(|targets| targets.iter().any(|(order, _)| *order > 0.0));
    let strategy = match setting("routing_strategy").as_str() {
        None | Some("simple-shuffle") if ordered => "priority",
        None | Some("simple-shuffle") => "weighted",
        Some("latency-based-routing") => "latency",
        Some(other) => {
            let message = format!("{other} has no equal here; the models are `weighted`");
            notes.add("router_settings.routing_strategy", &message);
            "weighted"
        }
    };
    let retries = number(&setting("num_retries"));
    let timeout =
        number(&setting("timeout")).or_else(|| number(&setting("request_timeout"))).and_then(duration);
    let originals = groups.clone();
    let fallbacks = fallbacks(&setting("fallbacks"), &setting("default_fallbacks"), &groups);
    for (name, mut targets) in groups {
        targets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut targets: Vec<Value> = targets.into_iter().map(|(_, target)| target).collect();
        let mut strategy = if targets.len() == 1 { "priority" } else { strategy };
        for next in fallbacks.get(&name).into_iter().flatten() {
            let Some(others) = originals.get(next) else {
                notes.add("fallbacks", &format!("{name}: no model named {next:?} was carried over"));
                continue;
            };
            if strategy == "latency" {
                notes.add(
                    "fallbacks",
                    &format!("{name}: by latency every target can be the first one, so {next:?} is left out"),
                );
                continue;
            }
            for (_, target) in others {
                let mut target = target.clone();
                if let Some(target) = target.as_object_mut() {
                    // Never the first one.
                    target.insert("weight".to_owned(), json!(0));
                }
                targets.push(target);
            }
        }
        if strategy == "weighted" && targets.iter().all(|target| target["weight"] == json!(0)) {
            strategy = "priority";
        }
        if strategy != "weighted" {
            targets.iter_mut().filter_map(Value::as_object_mut).for_each(|target| {
                target.remove("weight");
            });
        }
        let mut model = Map::from_iter([("targets".to_owned(), json!(targets))]);
        if targets.len() > 1 {
            model.insert("strategy".to_owned(), json!(strategy));
        }
        if let Some(retries) = retries.filter(|retries| *retries >= 1.0) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
            let attempts = (retries + 1.0).min(ATTEMPTS_MAX) as u32;
            model.insert("retry".to_owned(), json!({"attempts": attempts}));
        }
        if let Some(timeout) = timeouts.get(&name).or(timeout.as_ref()) {
            model.insert("timeouts".to_owned(), json!({"request": timeout}));
        }
        draft.models.insert(name, Value::Object(model));
    }
    for (alias, meant) in setting("model_group_alias").as_object().into_iter().flatten() {
        let meant = meant.as_str().or_else(|| meant["model"].as_str()).unwrap_or_default();
        if originals.contains_key(meant) && !originals.contains_key(alias) {
            draft.models.insert(alias.clone(), json!({"alias": meant}));
        } else {
            notes.add("model_group_alias", &format!("{alias}: no model named {meant:?} was carried over"));
        }
    }
    leftovers(file, notes);
    Ok(draft.finish(notes))
}

/// The target that `litellm_params` is; nothing where it cannot be carried over.
fn target(path: &str, name: &str, params: &Value, draft: &mut Draft, notes: &mut Notes) -> Option<Value> {
    let at = |field: &str| format!("{path}.litellm_params.{field}");
    let Some(written) = params["model"].as_str() else {
        notes.add(&at("model"), "is missing");
        return None;
    };
    let (prefix, model) = match (params["custom_llm_provider"].as_str(), written.split_once('/')) {
        (Some(prefix), _) => (prefix, written),
        (None, Some((prefix, model)))
            if known(prefix)
                .is_some_and(|(known, ..)| prefix.starts_with(known) || prefix.ends_with(known)) =>
        {
            (prefix, model)
        }
        (None, Some((prefix, _))) => {
            notes.add(
                &at("model"),
                &format!("providers of the kind {prefix:?} cannot be reached yet; {name:?} does without it"),
            );
            return None;
        }
        (None, None) if written.starts_with("claude") => ("anthropic", written),
        (None, None) => ("openai", written),
    };
    let Some((_, api, url, variable)) = known(prefix) else {
        notes.add(
            &at("model"),
            &format!("providers of the kind {prefix:?} cannot be reached yet; {name:?} does without it"),
        );
        return None;
    };
    if model.contains('*') || name.contains('*') {
        notes.add(
            &at("model"),
            "patterns are not needed: provider/model always works, where the caller's key allows it",
        );
        return None;
    }
    let base = ["api_base", "base_url"].into_iter().find_map(|field| params[field].as_str());
    let base = match base.map(|base| base.strip_prefix(ENVIRONMENT).map_or(Ok(base), Err)) {
        Some(Ok(base)) => base,
        Some(Err(variable)) => {
            notes.add(&at("api_base"), &format!("a URL cannot come from the environment; write what {variable} holds in place of http://set-me.invalid"));
            "http://set-me.invalid"
        }
        None if url.is_empty() => {
            notes.add(&at("api_base"), "is missing; write the URL in place of http://set-me.invalid");
            "http://set-me.invalid"
        }
        None => *url,
    };
    let mut provider = Map::from_iter([
        ("api".to_owned(), json!(api)),
        ("url".to_owned(), json!(base.trim_end_matches('/'))),
    ]);
    match params["api_key"].as_str() {
        Some(key) => match key.strip_prefix(ENVIRONMENT) {
            Some(variable) => {
                provider.insert("key".to_owned(), json!({"env": variable}));
            }
            None => {
                let variable = format!("{}_API_KEY", prefix.to_ascii_uppercase().replace(['-', '.'], "_"));
                notes.add(&at("api_key"), &format!("a key stands in the file itself; put it into the variable {variable} of Envoy's environment"));
                provider.insert("key".to_owned(), json!({"env": variable}));
            }
        },
        None if !variable.is_empty() => {
            provider.insert("key".to_owned(), json!({"env": variable}));
        }
        None => {}
    }
    if *api == "azure-openai" {
        match params["api_version"].as_str() {
            Some(version) if !version.starts_with(ENVIRONMENT) => {
                provider.insert("api_version".to_owned(), json!(version));
            }
            _ => notes.add(
                &at("api_version"),
                "is missing or not in the file; Azure's `v1` API is called without one",
            ),
        }
    }
    let provider = draft.provider(prefix, Value::Object(provider));
    let mut target = Map::from_iter([("provider".to_owned(), json!(provider))]);
    if model != name {
        target.insert("model".to_owned(), json!(model));
    }
    if let Some(weight) = params["weight"].as_u64() {
        target.insert("weight".to_owned(), json!(weight));
    }
    let kept: Map<String, Value> = params
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, value)| PARAMETERS.contains(&field.as_str()) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    if !kept.is_empty() {
        target.insert("params".to_owned(), Value::Object(kept));
    }
    let known: Vec<&str> = PARAMETERS.into_iter().chain(PLACE).collect();
    notes.others(&format!("{path}.litellm_params"), params, &known, "has no equal here");
    Some(Value::Object(target))
}

/// For each model, the models whose targets follow its own.
fn fallbacks(
    listed: &Value,
    of_all: &Value,
    groups: &BTreeMap<String, Vec<(f64, Value)>>,
) -> BTreeMap<String, Vec<String>> {
    let names = |list: &Value| items(list).filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, next) in items(listed).filter_map(Value::as_object).flatten() {
        found.entry(name.clone()).or_default().extend(names(next));
    }
    let of_all = names(of_all);
    for name in groups.keys() {
        let next = found.entry(name.clone()).or_default();
        if next.is_empty() {
            next.extend(of_all.iter().filter(|next| *next != name).cloned());
        }
    }
    found
}

fn leftovers(file: &Value, notes: &mut Notes) {
    let (library, general) = (&file["litellm_settings"], &file["general_settings"]);
    let carried = [
        "routing_strategy",
        "num_retries",
        "timeout",
        "request_timeout",
        "fallbacks",
        "default_fallbacks",
        "model_group_alias",
    ];
    for (section, message) in
        [("router_settings", "has no equal here"), ("litellm_settings", "has no equal here")]
    {
        notes.others(
            section,
            &file[section],
            &[&carried[..], &["callbacks", "success_callback", "failure_callback"]].concat(),
            message,
        );
    }
    for field in ["callbacks", "success_callback", "failure_callback"] {
        if !library[field].is_null() {
            notes.add(
                &format!("litellm_settings.{field}"),
                "where traces go is the exporter's: give it a destination in exporter.yaml",
            );
        }
    }
    notes.others("general_settings", general, &["master_key"], "has no equal here");
    if !general["master_key"].is_null() {
        notes.add("general_settings.master_key", "there is no key for everything; see `keys`");
    }
    let sections = ["model_list", "router_settings", "litellm_settings", "general_settings"];
    for name in file.as_object().into_iter().flat_map(|map| map.keys()) {
        if !sections.contains(&name.as_str()) {
            notes.add(name, "has no equal here");
        }
    }
}
