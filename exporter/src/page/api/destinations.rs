//! The page's routes below `/api` that show and change settings. Who may call them is the page's affair, which puts
//! an [`Actor`] into the request's extensions.
//!
//! Every answer is JSON. An error names the field that caused it, and holds no secret; an answer of 409 holds what
//! the setting is now.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Extension, Path, RawQuery, State},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    bus::policy::Switch,
    config::ConfigError,
    page::auth::Actor,
    saved_destinations::{
        AUDIT_ENTRIES, Changed, Done, Draft, Refused, SavedDestinations, SecretChange, seal::SealError,
    },
    secret::Secret,
};

/// The largest body that is read: room for what is far too much to be refused by its field.
const MAX_BODY: usize = 1 << 20;

/// The most secrets of one body.
const MAX_SECRETS: usize = 128;

/// The routes.
pub fn routes(managed: SavedDestinations) -> Router {
    Router::new()
        .route("/api/destinations", get(list))
        .route("/api/destinations/test", post(test))
        .route("/api/destinations/{name}", put(save).delete(remove))
        .route("/api/policy", get(policy).put(set_policy))
        .route("/api/audit", get(audit_trail))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(managed)
}

async fn list(State(managed): State<SavedDestinations>) -> Response {
    let (basis, seen) = (managed.configured(), managed.seen());
    let reason = match (basis.enabled, basis.keys.is_empty(), managed.wrong()) {
        (false, ..) => {
            Some("settings are made in exporter.yaml only: it says settings.enabled: false".to_owned())
        }
        (true, true, _) => Some(SealError::NoKey.to_string()),
        (true, false, Some(why)) => Some(why),
        (true, false, None) => None,
    };
    let answer = json!({
        "destinations": managed.listed(&seen),
        "secrets": { "can_save": reason.is_none(), "reason": reason },
        "enabled": basis.enabled,
        "wrong": managed.wrong(),
    });
    answered(StatusCode::OK, &answer)
}

async fn save(
    State(managed): State<SavedDestinations>,
    Path(name): Path<String>,
    actor: Option<Extension<Actor>>,
    body: Bytes,
) -> Response {
    let draft = match Body::read(&body, &["revision", "settings", "secrets"]).and_then(|body| body.draft()) {
        Ok(draft) => draft,
        Err(error) => return refused(&managed, Refused::Field(error)),
    };
    match managed.save(&name, draft, &who(actor)).await {
        Ok(done) => answered(StatusCode::OK, &with_warnings(json!({ "name": name }), &done)),
        Err(why) => refused(&managed, why),
    }
}

async fn remove(
    State(managed): State<SavedDestinations>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    actor: Option<Extension<Actor>>,
) -> Response {
    let number = |name: &str| parameter(query.as_deref(), name)?.parse::<u64>().ok();
    let Some(revision) = number("revision") else {
        let error = ConfigError::at("revision", "must be given: the revision that was looked at");
        return refused(&managed, Refused::Field(error));
    };
    match managed.remove(&name, revision, number("backlog"), &who(actor)).await {
        Ok((purged, done)) => {
            answered(StatusCode::OK, &with_warnings(json!({ "name": name, "purged": purged }), &done))
        }
        Err(why) => refused(&managed, why),
    }
}

async fn test(State(managed): State<SavedDestinations>, body: Bytes) -> Response {
    let tested = match Body::read(&body, &["name", "revision", "settings", "secrets"]) {
        Ok(body) => match body.name() {
            Ok(name) if body.has_settings() => match body.draft() {
                Ok(draft) => managed.test(&name, &draft).await,
                Err(error) => Err(Refused::Field(error)),
            },
            Ok(name) => managed.test_running(&name).await,
            Err(error) => Err(Refused::Field(error)),
        },
        Err(error) => Err(Refused::Field(error)),
    };
    match tested {
        Ok(tested) => answered(StatusCode::OK, &tested),
        Err(why) => refused(&managed, why),
    }
}

async fn policy(State(managed): State<SavedDestinations>) -> Response {
    answered(StatusCode::OK, &managed.policy_shown())
}

async fn set_policy(
    State(managed): State<SavedDestinations>,
    actor: Option<Extension<Actor>>,
    body: Bytes,
) -> Response {
    let read =
        Body::read(&body, &["revision", "switch"]).and_then(|body| Ok((body.revision()?, body.switch()?)));
    let (revision, switch) = match read {
        Ok(read) => read,
        Err(error) => return refused(&managed, Refused::Field(error)),
    };
    match managed.set_switch(switch, revision, &who(actor)).await {
        Ok(done) => answered(StatusCode::OK, &with_warnings(managed.policy_shown(), &done)),
        Err(Refused::Stale(_)) => {
            let current = managed.policy_shown();
            stale("the policy was changed by somebody else meanwhile: nothing was overwritten", &current)
        }
        Err(why) => refused(&managed, why),
    }
}

async fn audit_trail(State(managed): State<SavedDestinations>, RawQuery(query): RawQuery) -> Response {
    let limit = parameter(query.as_deref(), "limit").and_then(|text| text.parse().ok());
    match managed.audited(limit.unwrap_or(AUDIT_ENTRIES)).await {
        Ok(entries) => answered(StatusCode::OK, &json!({ "entries": entries })),
        Err(error) => refused(&managed, Refused::Away(error.to_string())),
    }
}

fn who(actor: Option<Extension<Actor>>) -> Changed {
    actor.map(|Extension(actor)| actor).unwrap_or_default().changes()
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A body of ours, of which no value is shown in an error.
struct Body(Map<String, Value>);

impl Body {
    fn read(body: &[u8], known: &[&str]) -> Result<Self, ConfigError> {
        let fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| ConfigError::at(".", "the body must be a JSON object"))?;
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let hint = crate::config::did_you_mean(name, known.iter().copied());
                let message = format!("unknown field, expected {}{hint}", known.join(", "));
                Err(ConfigError::at(name.as_str(), message))
            }
            None => Ok(Self(fields)),
        }
    }

    fn name(&self) -> Result<String, ConfigError> {
        let name = self.0.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or_else(|| ConfigError::at("name", "must be set"))
    }

    fn revision(&self) -> Result<Option<u64>, ConfigError> {
        match self.0.get("revision") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| ConfigError::at("revision", "must be a whole number, or null for a new one")),
        }
    }

    fn switch(&self) -> Result<Switch, ConfigError> {
        let switch = self.0.get("switch").cloned().unwrap_or_default();
        serde_json::from_value(switch)
            .map_err(|_| ConfigError::at("switch", "must be \"off\" or \"exclude\""))
    }

    fn has_settings(&self) -> bool {
        self.0.get("settings").is_some_and(|settings| !settings.is_null())
    }

    fn draft(&self) -> Result<Draft, ConfigError> {
        let settings = self.0.get("settings").cloned().unwrap_or_default();
        if !settings.is_object() {
            return Err(ConfigError::at("settings", "must be an object, as exporter.yaml has a destination"));
        }
        let none = Map::new();
        let secrets = match self.0.get("secrets") {
            None | Some(Value::Null) => &none,
            Some(secrets) => secrets
                .as_object()
                .ok_or_else(|| ConfigError::at("secrets", "must be an object, by field"))?,
        };
        if secrets.len() > MAX_SECRETS {
            let message = format!("may be 64 at most, these are {}", secrets.len());
            return Err(ConfigError::at("headers", message));
        }
        let secrets =
            secrets.iter().map(|(field, change)| Ok((field.clone(), secret_change(field, change)?)));
        let secrets: Result<BTreeMap<String, SecretChange>, ConfigError> = secrets.collect();
        Ok(Draft { revision: self.revision()?, settings, secrets: secrets? })
    }
}

fn secret_change(field: &str, change: &Value) -> Result<SecretChange, ConfigError> {
    let set = change.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.get("set"));
    match (change, set) {
        (Value::String(word), _) if word == "keep" => Ok(SecretChange::Keep),
        (_, Some(Value::String(value))) => Ok(SecretChange::Set(Secret::new(value.as_str()))),
        _ => Err(ConfigError::at(field, "must be \"keep\" or { \"set\": \"the secret\" }")),
    }
}

fn with_warnings(mut answer: Value, done: &Done) -> Value {
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("revision".to_owned(), done.revision.into());
        fields.insert("warnings".to_owned(), done.warnings.iter().map(problem).collect());
    }
    answer
}

/// `{ "field", "message" }`.
fn problem(error: &ConfigError) -> Value {
    let field = (error.path != ".").then_some(error.path.as_str());
    json!({ "field": field, "message": error.message })
}

fn refused(managed: &SavedDestinations, why: Refused) -> Response {
    let message = why.to_string();
    let whole = |status: StatusCode| failed(status, &ConfigError::at(".", message.as_str()));
    match why {
        Refused::Field(error) => failed(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Refused::Locked(_) => whole(StatusCode::FORBIDDEN),
        Refused::Unknown(_) => whole(StatusCode::NOT_FOUND),
        Refused::Away(_) => whole(StatusCode::SERVICE_UNAVAILABLE),
        Refused::Stale(name) => match managed.current(&name) {
            Value::Null => stale(&format!("{name} was removed by somebody else meanwhile"), &Value::Null),
            current => stale(&message, &current),
        },
        Refused::Backlog(backlog) => {
            let error = problem(&ConfigError::at(".", message));
            answered(StatusCode::CONFLICT, &json!({ "error": error, "errors": [error], "backlog": backlog }))
        }
    }
}

fn stale(message: &str, current: &Value) -> Response {
    let error = problem(&ConfigError::at(".", message));
    answered(StatusCode::CONFLICT, &json!({ "error": error, "errors": [error], "current": current }))
}

fn failed(status: StatusCode, error: &ConfigError) -> Response {
    let error = problem(error);
    answered(status, &json!({ "error": error, "errors": [error] }))
}

fn answered(status: StatusCode, answer: &impl Serialize) -> Response {
    match serde_json::to_vec(answer) {
        Ok(body) => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (status, headers, body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
