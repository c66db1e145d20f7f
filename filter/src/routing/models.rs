//! `GET /v1/models` and `/v1/models/{id}`: what the caller's key may use (OpenAI API reference, "Models").

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::auth::Grant;
use crate::config::Config;
use crate::refusal::Refusal;

/// The body for a path, of which `rest` stands behind `/v1/models`.
pub fn response(config: &Config, grant: &Grant, rest: &str) -> Result<String, Refusal> {
    let Some(id) = rest.strip_prefix('/').filter(|id| !id.is_empty()) else {
        let data: Vec<Value> = config.models_for(grant).map(|(name, owner)| model(name, owner)).collect();
        return Ok(json!({"object": "list", "data": data}).to_string());
    };
    let id = percent_decode_str(id).decode_utf8_lossy();
    match config.models_for(grant).find(|(name, _)| *name == id) {
        Some((name, owner)) => Ok(model(name, owner).to_string()),
        None => Err(Refusal::unknown_model(&id)),
    }
}

fn model(name: &str, owner: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
}
