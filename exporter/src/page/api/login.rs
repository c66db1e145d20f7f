//! `/api/login`, `/api/logout` and `/api/session`: a session for the token, in a cookie.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ORIGIN, SET_COOKIE},
    },
    response::AppendHeaders,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::server::Peer,
    page::{
        auth::{
            device,
            guard::Guard,
            login::{LONGEST, MAX_NAME, NAME, Who},
        },
        respond::{Errors, Json, Plain, Refusal, Reply},
    },
};

/// How long a browser knows that it logged in before, in seconds: the longest that browsers keep a cookie.
const DEVICE: u64 = 400 * 24 * 3600;

/// The routes.
pub(in crate::page) fn routes() -> OpenApiRouter<Arc<Guard>> {
    OpenApiRouter::new().routes(routes!(log_in)).routes(routes!(log_out)).routes(routes!(session))
}

/// What is entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::page) struct LogIn {
    token: String,
    /// For the audit trail.
    #[serde(default)]
    #[schema(required = false)]
    name: String,
}

/// Exchange the token for a session
#[utoipa::path(post, path = "/api/login", tag = "login", responses(
    (status = 204, description = "The session is in the cookie weir_session. The cookie weir_device tells this device \
        from others at its address, where wrong tokens are counted."),
    (status = 400, description = "No JSON.", body = Errors),
    (status = 401, description = "It is not the token.", body = Errors),
    (status = 415, description = "No application/json.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
    (status = 429, description = "Too many wrong tokens; Retry-After says when to try again.", body = Errors),
))]
pub(in crate::page) async fn log_in(
    State(guard): State<Arc<Guard>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(entered): Json<LogIn>,
) -> Result<Plain, Refusal> {
    let now = Instant::now();
    guard.login.compare(entered.token.as_bytes(), &headers, peer, now)?;
    let name: String =
        entered.name.trim().chars().filter(|letter| !letter.is_control()).take(MAX_NAME).collect();
    let name = if name.is_empty() { "operator".to_owned() } else { name };
    let value = guard.login.begin(name, now)?;
    // A browser that came by https must not send the cookie by http.
    let by_tls = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if by_tls { "; Secure" } else { "" };
    let longest = LONGEST.as_secs();
    let cookie = |name: &str, value: &str, seconds: u64| {
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    };
    let mut cookies = vec![cookie(NAME, &value, longest)];
    cookies.extend(guard.login.device(&headers).map(|value| cookie(device::NAME, &value, DEVICE)));
    set(StatusCode::NO_CONTENT, &cookies)
}

/// End the session
#[utoipa::path(post, path = "/api/logout", tag = "login",
    responses((status = 204, description = "It has ended.")))]
pub(in crate::page) async fn log_out(
    State(guard): State<Arc<Guard>>,
    Extension(who): Extension<Who>,
) -> Result<Plain, Refusal> {
    guard.login.end(&who);
    set(StatusCode::NO_CONTENT, &[format!("{NAME}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")])
}

fn set(status: StatusCode, cookies: &[String]) -> Result<Plain, Refusal> {
    let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the cookie cannot be written");
    let cookies =
        cookies.iter().map(|cookie| Ok((SET_COOKIE, HeaderValue::from_str(cookie).map_err(failed)?)));
    let cookies: Vec<_> = cookies.collect::<Result<_, Refusal>>()?;
    Ok(Plain::new((status, AppendHeaders(cookies))))
}

/// Whether somebody is logged in.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Session {
    version: &'static str,
    asks_for_token: bool,
    logged_in: bool,
    #[schema(required)]
    name: Option<String>,
}

/// Whether somebody is logged in
#[utoipa::path(get, path = "/api/session", tag = "login")]
pub(in crate::page) async fn session(
    State(guard): State<Arc<Guard>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Reply<Session> {
    let who = guard.login.who(&headers, peer).ok();
    Reply(Session {
        version: weir_event::VERSION,
        asks_for_token: guard.login.asks_for_token(),
        logged_in: who.is_some(),
        name: who.map(|who| who.name().to_owned()),
    })
}
