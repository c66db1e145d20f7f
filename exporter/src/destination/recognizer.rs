//! The settings of an external recognizer, checked.

use std::time::Duration;

use super::settings::{RecognizerSettings, endpoint};
use crate::config::{ConfigError, wire};

/// The path of Presidio analyzer's HTTP API.
const ANALYZE: &str = "analyze";

/// How long one request may take by default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The lowest score by default: what Presidio's named entities have is 0.85.
const SCORE: f64 = 0.5;

/// The most entities that can be named.
const MAX_ENTITIES: usize = 64;

/// Checks what stands at `path`.
///
/// # Errors
///
/// [`ConfigError`], naming the field that does not fit.
pub(super) fn settings(path: &str, one: &wire::Recognizer) -> Result<RecognizerSettings, ConfigError> {
    let at = |field: &str, message: &str| ConfigError::at(format!("{path}.{field}"), message);
    let mut url = endpoint(&format!("{path}.url"), &one.url)?;
    if url.query().is_some() {
        return Err(at("url", "must have no query"));
    }
    if url.path() == "/" {
        url.set_path(ANALYZE);
    }
    let language = one.language.clone().unwrap_or_else(|| "en".to_owned());
    let is_language = (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if !is_language {
        return Err(at("language", "must be a language's code, such as en or de"));
    }
    let is_entity = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    if one.entities.len() > MAX_ENTITIES || !one.entities.iter().all(is_entity) {
        return Err(at("entities", "must be names such as PERSON and LOCATION, 64 at most"));
    }
    let score = one.score.unwrap_or(SCORE);
    if !(0.0..=1.0).contains(&score) {
        return Err(at("score", "must be from 0 to 1"));
    }
    let timeout = one.timeout.map_or(TIMEOUT, |time| time.0);
    if !(Duration::from_millis(1)..=Duration::from_secs(300)).contains(&timeout) {
        return Err(at("timeout", "must be from 1ms to 5m"));
    }
    let (entities, when_away) = (one.entities.clone(), one.when_away);
    Ok(RecognizerSettings { url, language, entities, score, timeout, when_away })
}
