//! The families of APIs: what each writes, and what its APIs are called by each convention.
//!
//! A family has a module here and a line in [`FAMILIES`]; nothing else in this crate matches on an API.

mod anthropic;
mod cohere;
mod gemini;
mod openai;
#[cfg(test)]
mod same_tests;
#[cfg(test)]
pub(super) mod tests;

use weir_event::v1::Api;

use super::messages::{
    conversation::Conversation,
    spec::{ApiSpec, CHAIN},
};

/// Each gives what an API of its own is like.
const FAMILIES: [fn(Api) -> Option<&'static ApiSpec>; 4] =
    [openai::spec, anthropic::spec, gemini::spec, cohere::spec];

/// An API that is not known.
const UNKNOWN: ApiSpec = ApiSpec {
    family: "",
    operation: "chat",
    output_type: "",
    openai_type: "",
    openinference: "LLM",
    tfy: "",
    is_chat: false,
    is_without_reasons: false,
    request: |_| Conversation::default(),
    response: |_| Vec::new(),
    part: |_, value| openai::content(value),
};

static UNSPECIFIED: ApiSpec = UNKNOWN;
static PASSTHROUGH: ApiSpec = ApiSpec { openinference: CHAIN, ..UNKNOWN };

/// What an API is like.
pub(super) fn of(api: Api) -> &'static ApiSpec {
    let fallback = if api == Api::Passthrough { &PASSTHROUGH } else { &UNSPECIFIED };
    FAMILIES.iter().find_map(|family| family(api)).unwrap_or(fallback)
}
