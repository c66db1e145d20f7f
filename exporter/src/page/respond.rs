//! Answers of the page's own: JSON, and errors in the one shape that all of `/api` has.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::bus::BusError;

/// Why a request was not answered as it wished.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    field: Option<&'static str>,
    message: String,
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Body<'r> {
    error: Problem<'r>,
    errors: [Problem<'r>; 1],
}

#[derive(Clone, Copy, Serialize)]
struct Problem<'r> {
    field: Option<&'static str>,
    message: &'r str,
}

impl Refusal {
    /// One with this status and reason.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, field: None, message: message.into(), retry_after: None }
    }

    /// One that is the fault of a field.
    pub(super) fn of_field(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// One that may pass after so many seconds.
    pub(super) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// What is not there.
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
        let problem = Problem { field: self.field, message: &self.message };
        let body = Json(Body { error: problem, errors: [problem] });
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
