//! The page's routes below `/api` that show and change settings. The guard puts who calls, an [`Actor`], into the
//! request's extensions.
//!
//! An error names the field that caused it, and holds no secret; 409 holds what the setting is now.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{Extension, RawQuery, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    bus::policy::Switch,
    config::ConfigError,
    page::{
        auth::Actor,
        respond::{Errors, Path, Problem, Refusal, Reply},
    },
    saved_destinations::{
        AUDIT_ENTRIES, Changed, Done, Draft, Entry, Listed, PolicyShown, Refused, SavedDestinations,
        SecretChange, Tested, seal::SealError,
    },
    secret::Secret,
};

/// The most secrets of one body.
const MAX_SECRETS: usize = 128;

/// The routes.
pub(in crate::page) fn routes() -> OpenApiRouter<SavedDestinations> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(test))
        .routes(routes!(save, remove))
        .routes(routes!(policy, set_policy))
        .routes(routes!(audit_trail))
}

/// The destinations, and whether others can be saved.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Destinations {
    destinations: Vec<Listed>,
    secrets: CanSave,
    enabled: bool,
    /// Why what is saved is not followed at the moment.
    #[schema(required)]
    wrong: Option<String>,
}

/// Whether a destination can be saved here and, where not, why.
#[derive(Serialize, ToSchema)]
struct CanSave {
    can_save: bool,
    #[schema(required)]
    reason: Option<String>,
}

/// As a destination in exporter.yaml (see exporter.schema.json), without its secrets.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes what is read as any JSON object")]
struct Settings(Map<String, Value>);

/// What becomes of a secret: it stays, or is set.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SecretField {
    Keep,
    Set(String),
}

/// A destination to save.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it describes what is read field by field")]
struct Save {
    /// The one that was read; null to create.
    revision: Option<u64>,
    settings: Settings,
    /// By field, such as `key` or `headers.x-api-key`.
    secrets: Option<BTreeMap<String, SecretField>>,
}

/// A destination to test: one that is not saved or, without settings, one that runs.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it describes what is read field by field")]
struct Test {
    name: String,
    revision: Option<u64>,
    settings: Option<Settings>,
    secrets: Option<BTreeMap<String, SecretField>>,
}

/// Which destination to remove.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it describes what is read field by field")]
struct Removal {
    /// The one that was read.
    revision: u64,
    /// How many waiting events the caller has seen.
    #[param(nullable = false)]
    backlog: Option<u64>,
}

/// How much of the audit trail to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it describes what is read field by field")]
struct Newest {
    /// 50 by default, 500 at most.
    #[param(nullable = false)]
    limit: Option<usize>,
}

/// The switch of the capture policy.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it describes what is read field by field")]
struct SetPolicy {
    /// The one that was read; null or 0 where it was never changed.
    revision: Option<u64>,
    switch: Switch,
}

/// A destination as it was saved.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Saved {
    name: String,
    #[serde(flatten)]
    done: Applied,
}

/// A destination that was removed.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Removed {
    name: String,
    /// Events that waited and are given up.
    purged: u64,
    #[serde(flatten)]
    done: Applied,
}

/// The policy after a change.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct PolicyChanged {
    #[serde(flatten)]
    policy: PolicyShown,
    warnings: Vec<Problem>,
}

/// What came of a change.
#[derive(Serialize, ToSchema)]
struct Applied {
    revision: u64,
    warnings: Vec<Problem>,
}

impl From<Done> for Applied {
    fn from(done: Done) -> Self {
        Self { revision: done.revision, warnings: done.warnings.iter().map(Problem::from).collect() }
    }
}

/// The audit trail, the newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Audit {
    entries: Vec<Entry>,
}

/// The destinations with their state; of secrets the last four characters
#[utoipa::path(get, path = "/api/destinations", tag = "settings")]
async fn list(State(destinations): State<SavedDestinations>) -> Reply<Destinations> {
    let (config, seen) = (destinations.configured(), destinations.seen());
    let reason = match (config.enabled, config.keys.is_empty(), destinations.wrong()) {
        (false, ..) => {
            Some("settings are made in exporter.yaml only: it says settings.enabled: false".to_owned())
        }
        (true, true, _) => Some(SealError::NoKey.to_string()),
        (true, false, Some(why)) => Some(why),
        (true, false, None) => None,
    };
    Reply(Destinations {
        destinations: destinations.listed(&seen),
        secrets: CanSave { can_save: reason.is_none(), reason },
        enabled: config.enabled,
        wrong: destinations.wrong(),
    })
}

/// Create or change one
///
/// It takes effect on every exporter.
#[utoipa::path(put, path = "/api/destinations/{name}", tag = "settings",
    request_body(content = Save, content_type = "application/json"), responses(
    (status = 403, description = "It stands in the file or the environment, or the request is foreign.",
     body = Errors),
    (status = 409, description = "Somebody changed it meanwhile; `current` is what there is.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
async fn save(
    State(destinations): State<SavedDestinations>,
    Path(name): Path<String>,
    actor: Option<Extension<Actor>>,
    body: Bytes,
) -> Result<Reply<Saved>, Refusal> {
    let draft = Body::read::<Save>(&body).and_then(|body| body.draft()).map_err(unfit)?;
    let saved = destinations.save(&name, draft, &who(actor)).await;
    let done = saved.map_err(|why| refused(&destinations, why))?.into();
    Ok(Reply(Saved { name, done }))
}

/// Remove one, and give up its backlog
#[utoipa::path(delete, path = "/api/destinations/{name}", tag = "settings", params(Removal), responses(
    (status = 403, description = "It stands in the file or the environment, or the request is foreign.",
     body = Errors),
    (status = 404, description = "There is none.", body = Errors),
    (status = 409, description = "Another revision, or more events wait than were seen.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
async fn remove(
    State(destinations): State<SavedDestinations>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    actor: Option<Extension<Actor>>,
) -> Result<Reply<Removed>, Refusal> {
    let number = |name: &str| parameter(query.as_deref(), name)?.parse::<u64>().ok();
    let missing = || unfit(ConfigError::at("revision", "must be given: the revision that was looked at"));
    let revision = number("revision").ok_or_else(missing)?;
    let removed = destinations.remove(&name, revision, number("backlog"), &who(actor)).await;
    let (purged, done) = removed.map_err(|why| refused(&destinations, why))?;
    Ok(Reply(Removed { name, purged, done: done.into() }))
}

/// Send one labelled span to a destination that is not saved, or to one that runs
#[utoipa::path(post, path = "/api/destinations/test", tag = "settings",
    request_body(content = Test, content_type = "application/json"), responses(
    (status = 404, description = "None of this name runs.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
))]
async fn test(State(destinations): State<SavedDestinations>, body: Bytes) -> Result<Reply<Tested>, Refusal> {
    let body = Body::read::<Test>(&body).map_err(unfit)?;
    let name = body.name().map_err(unfit)?;
    let tested = if body.has_settings() {
        destinations.test(&name, &body.draft().map_err(unfit)?).await
    } else {
        destinations.test_running(&name).await
    };
    tested.map(Reply).map_err(|why| refused(&destinations, why))
}

/// The capture policy
#[utoipa::path(get, path = "/api/policy", tag = "settings")]
async fn policy(State(destinations): State<SavedDestinations>) -> Reply<PolicyShown> {
    Reply(destinations.policy_shown())
}

/// Change its switch
#[utoipa::path(put, path = "/api/policy", tag = "settings",
    request_body(content = SetPolicy, content_type = "application/json"), responses(
    (status = 409, description = "Somebody changed it meanwhile; `current` is what there is.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
async fn set_policy(
    State(destinations): State<SavedDestinations>,
    actor: Option<Extension<Actor>>,
    body: Bytes,
) -> Result<Reply<PolicyChanged>, Refusal> {
    let read = Body::read::<SetPolicy>(&body).and_then(|body| Ok((body.revision()?, body.switch()?)));
    let (revision, switch) = read.map_err(unfit)?;
    match destinations.set_switch(switch, revision, &who(actor)).await {
        Ok(done) => {
            let Applied { revision, warnings } = done.into();
            let mut policy = destinations.policy_shown();
            policy.revision = revision;
            Ok(Reply(PolicyChanged { policy, warnings }))
        }
        Err(Refused::Stale(_)) => {
            let message = "the policy was changed by somebody else meanwhile: nothing was overwritten";
            Err(Refusal::new(StatusCode::CONFLICT, message).with_current(destinations.policy_shown()))
        }
        Err(why) => Err(refused(&destinations, why)),
    }
}

/// Who changed what, the newest first
///
/// Never a secret's value.
#[utoipa::path(get, path = "/api/audit", tag = "settings",
    params(Newest),
    responses((status = 503, description = "NATS does not respond.", body = Errors)))]
async fn audit_trail(
    State(destinations): State<SavedDestinations>,
    RawQuery(query): RawQuery,
) -> Result<Reply<Audit>, Refusal> {
    let limit = parameter(query.as_deref(), "limit").and_then(|text| text.parse().ok());
    let audited = destinations.audited(limit.unwrap_or(AUDIT_ENTRIES)).await;
    let entries = audited.map_err(|error| refused(&destinations, Refused::Away(error.to_string())))?;
    Ok(Reply(Audit { entries }))
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
    /// Reads an object of no other fields than `T` describes.
    fn read<T: PartialSchema>(body: &[u8]) -> Result<Self, ConfigError> {
        let described = match T::schema() {
            RefOr::T(Schema::Object(object)) => object.properties,
            _ => Default::default(),
        };
        let known: Vec<&str> = described.keys().map(String::as_str).collect();
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
    match SecretField::deserialize(change) {
        Ok(SecretField::Keep) => Ok(SecretChange::Keep),
        Ok(SecretField::Set(value)) => Ok(SecretChange::Set(Secret::new(value))),
        Err(_) => Err(ConfigError::at(field, "must be \"keep\" or { \"set\": \"the secret\" }")),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it maps an error")]
fn unfit(error: ConfigError) -> Refusal {
    Refusal::of(StatusCode::UNPROCESSABLE_ENTITY, Problem::from(&error))
}

fn refused(destinations: &SavedDestinations, why: Refused) -> Refusal {
    let message = why.to_string();
    match why {
        Refused::Field(error) => unfit(error),
        Refused::Locked(_) => Refusal::new(StatusCode::FORBIDDEN, message),
        Refused::Unknown(_) => Refusal::new(StatusCode::NOT_FOUND, message),
        Refused::Away(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message),
        Refused::Stale(name) => {
            let current = destinations.current(&name);
            let message = match current {
                None => format!("{name} was removed by somebody else meanwhile"),
                Some(_) => message,
            };
            Refusal::new(StatusCode::CONFLICT, message).with_current(current)
        }
        Refused::Backlog(backlog) => Refusal::new(StatusCode::CONFLICT, message).with_backlog(backlog),
    }
}
