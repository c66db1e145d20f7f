//! Responses of the page: JSON whose type describes it, and errors in the one shape that all of `/api` has.

use std::collections::BTreeMap;

use axum::{
    extract::{self, FromRequest, FromRequestParts, Request},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response::Response as Described},
};

use crate::{bus::BusError, config::ConfigError};

/// The responses in `/api/openapi.json`, by status.
type Responses = BTreeMap<String, RefOr<Described>>;

/// A response of 200 with JSON, described by its type.
pub(super) struct Reply<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        extract::Json(self.0).into_response()
    }
}

impl<T: ToSchema> IntoResponses for Reply<T> {
    fn responses() -> Responses {
        let schema = Ref::from_schema_name(T::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let ok = ResponseBuilder::new().description("OK").content("application/json", content).build();
        BTreeMap::from([("200".to_owned(), ok.into())])
    }
}

/// An extractor of axum's whose refusals have the shape of all errors.
macro_rules! extractor {
    ($name:ident, $trait:ident, $method:ident, $from:ty) => {
        #[doc = concat!("[`axum::extract::", stringify!($name), "`], refusing with [`Errors`].")]
        pub(super) struct $name<T>(pub(super) T);

        impl<T: DeserializeOwned + Send, S: Send + Sync> $trait<S> for $name<T> {
            type Rejection = Refusal;

            async fn $method(from: $from, state: &S) -> Result<Self, Refusal> {
                match extract::$name::<T>::$method(from, state).await {
                    Ok(extract::$name(value)) => Ok(Self(value)),
                    Err(why) => Err(Refusal::new(why.status(), why.body_text())),
                }
            }
        }
    };
}

extractor!(Json, FromRequest, from_request, Request);
extractor!(Path, FromRequestParts, from_request_parts, &mut Parts);
extractor!(Query, FromRequestParts, from_request_parts, &mut Parts);

/// Any other response, described where its route is.
pub(super) struct Plain(Response);

impl Plain {
    /// This response.
    pub(super) fn new(response: impl IntoResponse) -> Self {
        Self(response.into_response())
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponses for Plain {
    fn responses() -> Responses {
        Responses::new()
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    retry_after: Option<u64>,
    body: Box<Errors>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Errors {
    /// The first of `errors`.
    error: Problem,
    errors: Vec<Problem>,
    /// With 409: the destination or policy as it is now; null where it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, required = false)]
    current: Option<Value>,
    /// With 409: the events that wait, which were not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    backlog: Option<u64>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The field that causes it; null where none does.
    #[schema(required)]
    field: Option<String>,
    message: String,
}

impl From<&ConfigError> for Problem {
    fn from(error: &ConfigError) -> Self {
        let field = (error.path != ".").then(|| error.path.clone());
        Self { field, message: error.message.clone() }
    }
}

impl Refusal {
    /// With this status and reason.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self::of(status, Problem { field: None, message: message.into() })
    }

    /// With this status and problem.
    pub(super) fn of(status: StatusCode, problem: Problem) -> Self {
        let body = Errors { error: problem.clone(), errors: vec![problem], current: None, backlog: None };
        Self { status, retry_after: None, body: Box::new(body) }
    }

    /// Names the field that causes it.
    pub(super) fn of_field(self, field: &str) -> Self {
        let problem = Problem { field: Some(field.to_owned()), ..self.body.error };
        Self::of(self.status, problem)
    }

    /// Asks to try again after so many seconds.
    pub(super) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Says what there is now.
    pub(super) fn with_current(mut self, current: impl Serialize) -> Self {
        self.body.current = serde_json::to_value(current).ok();
        self
    }

    /// Says how many events wait.
    pub(super) fn with_backlog(mut self, backlog: u64) -> Self {
        self.body.backlog = Some(backlog);
        self
    }

    /// 404.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("NATS: {error}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, extract::Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Each route lists its own errors.
impl IntoResponses for Refusal {
    fn responses() -> Responses {
        Responses::new()
    }
}
