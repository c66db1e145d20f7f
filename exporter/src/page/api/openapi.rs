//! `GET /api/openapi.json`: the description of `/api` (OpenAPI 3.1), made from the routes and the types that they
//! take and give.

use axum::{Extension, body::Bytes, http::header::CONTENT_TYPE};
use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        ContentBuilder, ObjectBuilder, OpenApi, Ref, ResponseBuilder, Type,
        path::{HttpMethod, Operation, ParameterBuilder, ParameterIn},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{dead_letters, destinations, ledger, login, overview, traces};
use crate::page::{
    auth::{guard, login::NAME},
    respond::{Errors, Plain},
};

/// What all of `/api` has in common, and the schemas that responses refer to.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "weir-exporter's page",
        description = "What the page shows and does. Requests must name a host that is the page's own, and come \
                       from no other origin; those that change something carry the header x-weir-page."
    ),
    security(("session" = []), ("token" = []), ()),
    components(schemas(
        Errors,
        login::Session,
        overview::Overview,
        ledger::Ledger,
        traces::Requests,
        traces::Trace,
        dead_letters::Letters,
        dead_letters::LetterWithSpans,
        dead_letters::Round,
        destinations::Destinations,
        destinations::Saved,
        destinations::Removed,
        destinations::PolicyChanged,
        destinations::Audit,
        crate::saved_destinations::PolicyShown,
        crate::saved_destinations::Tested,
    )),
    modifiers(&Schemes)
)]
struct Api;

/// How callers show who they are.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, api: &mut OpenApi) {
        let schemes = api.components.get_or_insert_default();
        let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(NAME)));
        schemes.add_security_scheme("session", session);
        schemes.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The description as it is served.
#[derive(Clone)]
pub(in crate::page) struct Description(Bytes);

/// The description of these routes: with them, what the guard asks of every request.
pub(in crate::page) fn describe(routes: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let mut api = Api::openapi();
    routes.into_iter().for_each(|routes| api.merge(routes));
    for (path, item) in &mut api.paths.paths {
        let open = guard::OPEN.contains(&path.as_str());
        let operations = [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Delete, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                guarded(operation, method != HttpMethod::Get, open);
            }
        }
    }
    api
}

/// Adds the header and the responses of [`guard::pass`] to an operation.
fn guarded(operation: &mut Operation, changes: bool, open: bool) {
    // A handler's name, which is not the only one of its kind.
    operation.operation_id = None;
    let mut add = |status: &str, why: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Errors"))).build();
        let refused = ResponseBuilder::new().description(why).content("application/json", content).build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| refused.into());
    };
    add("403", "A foreign Host, another origin, or the header x-weir-page is missing.");
    if open {
        operation.security = Some(Vec::new());
    } else {
        add("401", "Nobody is logged in; only where a token is asked for.");
    }
    if changes {
        let own = ParameterBuilder::new()
            .name(guard::OWN.as_str())
            .parameter_in(ParameterIn::Header)
            .required(utoipa::openapi::Required::True)
            .description(Some("Any value. A form of another site cannot send it."))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
        operation.parameters.get_or_insert_default().push(own.build().into());
    }
}

impl Description {
    /// Writes the description, once for all requests.
    pub(in crate::page) fn new(api: &OpenApi) -> Self {
        Self(serde_json::to_vec(api).unwrap_or_default().into())
    }
}

/// This description
#[utoipa::path(get, path = "/api/openapi.json", tag = "overview",
    responses((status = 200, description = "OK", content_type = "application/json", body = Object)))]
pub(in crate::page) async fn openapi(Extension(description): Extension<Description>) -> Plain {
    Plain::new(([(CONTENT_TYPE, "application/json")], description.0))
}
