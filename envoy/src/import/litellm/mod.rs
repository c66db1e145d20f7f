//! LiteLLM's config.yaml: `model_list`, and what `router_settings` and `litellm_settings` say of it.

mod deployment;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::deployment::{Defaults, Deployment, Unnamed};
use crate::import::common::error::ImportError;
use crate::import::common::notes::Notes;
use crate::import::common::routing::{Draft, KNOWN};
use crate::import::common::value::{duration, items, number};
use crate::yaml::set;

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
    let deployments = deployments(file, notes);
    draft.variables.reserve_named(file);
    KNOWN.iter().for_each(|(.., usual)| draft.variables.reserve(usual));
    deployment::claim(&deployments, &mut draft.variables);
    let mut groups: BTreeMap<String, Vec<(f64, Value)>> = BTreeMap::new();
    let mut timeouts = BTreeMap::new();
    for deployment in &deployments {
        let target = deployment.target(&mut draft, notes);
        groups.entry(deployment.name.to_owned()).or_default().push((deployment.order(), target));
        if let Some(timeout) = deployment.timeout() {
            timeouts.insert(deployment.name.to_owned(), timeout);
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
                // Never the first one.
                set(&mut target, "weight", 0);
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
        let mut model = json!({"targets": targets});
        if targets.len() > 1 {
            set(&mut model, "strategy", strategy);
        }
        if let Some(retries) = retries.filter(|retries| *retries >= 1.0) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
            let attempts = (retries + 1.0).min(ATTEMPTS_MAX) as u32;
            set(&mut model, "retry", json!({"attempts": attempts}));
        }
        if let Some(timeout) = timeouts.get(&name).or(timeout.as_ref()) {
            set(&mut model, "timeouts", json!({"request": timeout}));
        }
        draft.models.insert(name, model);
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

/// The entries of `model_list` that can be carried over.
fn deployments<'a>(file: &'a Value, notes: &mut Notes) -> Vec<Deployment<'a>> {
    let (defaults, mut unnamed) = (Defaults::of(file), Unnamed::default());
    let mut found = Vec::new();
    for (index, entry) in items(&file["model_list"]).enumerate() {
        let path = format!("model_list[{index}]");
        let Some(name) = entry["model_name"].as_str() else {
            notes.add(&path, "has no model_name");
            continue;
        };
        if !entry["model_info"].is_null() {
            notes.add(
                &format!("{path}.model_info"),
                "prices are the exporter's: WEIR_PRICES names a file of your own",
            );
        }
        found.extend(Deployment::read(path, name, &entry["litellm_params"], &defaults, &mut unnamed, notes));
    }
    found
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
    let carried = "routing_strategy num_retries timeout request_timeout fallbacks default_fallbacks \
         model_group_alias default_litellm_params api_key api_base api_version";
    let known = format!("{carried} callbacks success_callback failure_callback");
    for section in ["router_settings", "litellm_settings"] {
        notes.others(section, &file[section], &known, "has no equal here");
    }
    for field in ["callbacks", "success_callback", "failure_callback"] {
        if !library[field].is_null() {
            notes.add(
                &format!("litellm_settings.{field}"),
                "where traces go is the exporter's: give it a destination in exporter.yaml",
            );
        }
    }
    notes.others("general_settings", general, "master_key", "has no equal here");
    if !general["master_key"].is_null() {
        notes.add("general_settings.master_key", "there is no key for everything; see `keys`");
    }
    if !file["environment_variables"].is_null() {
        notes.add(
            "environment_variables",
            "values stay behind: set those variables that the providers name in Envoy's environment",
        );
    }
    let sections = "model_list router_settings litellm_settings general_settings credential_list \
         environment_variables";
    for name in file.as_object().into_iter().flat_map(|map| map.keys()) {
        if !sections.split(' ').any(|word| word == name) {
            notes.add(name, "has no equal here");
        }
    }
}
