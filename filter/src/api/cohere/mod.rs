//! Cohere's API, version 2.

mod request;
mod response;
mod stream;

use serde_json::json;
use weir_event::v1;

use crate::api::family::operation::Operation;
use crate::api::family::provider::Provider;
use crate::api::family::{Api, Family};
use crate::redact::Fields;

/// Cohere API v2, "Chat".
pub static CHAT: Api = Api {
    family: &FAMILY,
    operation: &Operation { may_stream: true, says_end: true, ..Operation::new(v1::Api::CohereChat, "chat") },
};
/// Cohere API v2, "Rerank".
pub static RERANK: Api = Api { family: &FAMILY, operation: &Operation::new(v1::Api::CohereRerank, "rerank") };

/// All that is Cohere's own.
pub static FAMILY: Family = Family {
    name: "cohere",
    routes: &[("/v2/chat", CHAT), ("/v2/rerank", RERANK)],
    claims: |path| path.starts_with("/v2/"),
    providers: &[&PROVIDER],
    model_prefix: "",
    request_headers: &[],
    response_headers: &["cohere-"],
    request_fields: Fields::new(request::FIELDS),
    response_fields: Fields::new(response::FIELDS),
    parameters: request::parameters,
    places: &[request::PLACES],
    dialect: response::DIALECT,
    streams_arrays: false,
    usage: response::usage,
    error: |error| json!({"message": error.message, "code": error.code}).to_string(),
    says_pause_in_body: false,
};

static PROVIDER: Provider = Provider::new("cohere", "Cohere's. Its URL is without the version.");
