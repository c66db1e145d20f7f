//! Redaction, checked: its detectors, and the policies of everybody and of those that have stricter ones.

use std::collections::HashMap;
use std::sync::Arc;

use weir_settings::ConfigError;

use crate::config::PluginConfig;
use crate::redact;
use crate::redact::{Detectors, HashKey, Policies, Stricter, Style};
use crate::redaction::Redaction;

/// How many digits of a hash are shown: enough to tell people apart, 48 bits.
const HASH_DIGITS: usize = 12;
/// Shortest key of hashes, in bytes.
const HASH_KEY_MIN: usize = 16;
/// Compiles what a configuration says; `None` where it says nothing, and so nothing is exported.
/// `variable` looks an environment variable up.
pub(crate) fn redaction(
    plugin: &PluginConfig,
    variable: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<Redaction>, ConfigError> {
    let stricter_keys = plugin.keys.iter().enumerate();
    let stricter_keys = stricter_keys.filter_map(|(index, key)| {
        let wire = key.redaction.as_ref()?;
        Some((key.name.clone(), wire, format!("keys[{index}].redaction")))
    });
    let stricter_models = plugin.models.iter().filter_map(|(name, model)| {
        let meant = model.alias.as_ref().and_then(|alias| plugin.models.get(alias)).unwrap_or(model);
        let wire = meant.redaction.as_ref()?;
        Some((name.clone(), wire, format!("models.{name}.redaction")))
    });
    let Some(wire) = &plugin.redaction else {
        return match stricter_keys.chain(stricter_models).next() {
            None => Ok(None),
            Some((.., path)) => {
                Err(ConfigError::at(path, "is stricter than nothing: give `redaction` first"))
            }
        };
    };
    let hash_key = hash_key(wire, variable)?;
    let with_key = |style: Style, path: &str| match (style, &hash_key) {
        (Style::Hash, None) => {
            let message = "`hash` needs a key: give `redaction.hash_key: { env: VARIABLE }`";
            Err(ConfigError::at(path, message))
        }
        _ => Ok(()),
    };
    for (style, field) in [
        (wire.exported.replacement, "redaction.exported.replacement"),
        (wire.forwarded.replacement, "redaction.forwarded.replacement"),
        (wire.returned.replacement, "redaction.returned.replacement"),
    ] {
        with_key(style, field)?;
    }
    let detectors = Arc::new(Detectors::new(&wire.custom, &wire.allow, "redaction")?);
    let policies = Policies::new(wire, &detectors, "redaction")?;
    let stricter = |wire: &Stricter, path: &str| {
        let styles = [
            ("exported", wire.exported.as_ref().map(|wire| wire.replacement)),
            ("forwarded", wire.forwarded.as_ref().map(|wire| wire.replacement)),
            ("returned", wire.returned.as_ref().map(|wire| wire.replacement)),
        ];
        for (part, style) in styles.into_iter().filter_map(|(part, style)| Some((part, style?))) {
            with_key(style, &format!("{path}.{part}.replacement"))?;
        }
        policies.with(wire, &detectors, path)
    };
    let by_key = stricter_keys.map(|(name, wire, path)| Ok((name, stricter(wire, &path)?)));
    let by_model = stricter_models.map(|(name, wire, path)| Ok((name, stricter(wire, &path)?)));
    let by_model: HashMap<_, _> = by_model.collect::<Result<_, ConfigError>>()?;
    Ok(Some(Redaction {
        by_key: by_key.collect::<Result<_, ConfigError>>()?,
        by_model: with_targets(&by_model, plugin),
        detectors,
        policies,
        hash_key,
    }))
}

/// The policies of models, and those of their targets, which can be asked for without the model: the
/// strictest of all models that have the target.
fn with_targets(by_model: &HashMap<String, Policies>, plugin: &PluginConfig) -> HashMap<String, Policies> {
    let mut by_name = by_model.clone();
    for (name, policies) in by_model {
        let targets = plugin.models.get(name).map(|model| model.targets.as_slice()).unwrap_or_default();
        for target in targets {
            let direct = format!("{}/{}", target.provider, target.model.as_ref().unwrap_or(name));
            let of_target = by_name.entry(direct).or_insert(*policies);
            *of_target = of_target.stricter(policies);
        }
    }
    by_name
}

/// The key of hashes, where one is named.
fn hash_key(
    wire: &redact::Redaction,
    variable: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<HashKey>, ConfigError> {
    let Some(source) = &wire.hash_key else { return Ok(None) };
    let at = |message: String| ConfigError::at("redaction.hash_key.env", message);
    let Some(key) = variable(&source.env) else {
        return Err(at(format!("the environment variable {} is not set in Envoy's process", source.env)));
    };
    if key.len() < HASH_KEY_MIN {
        let message = format!("the key in {} is shorter than {HASH_KEY_MIN} bytes", source.env);
        return Err(at(message));
    }
    Ok(Some(HashKey::new(&key, HASH_DIGITS)))
}
