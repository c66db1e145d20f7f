//! How a destination wants its spans: with or without content, in whose names besides the standard ones.

use std::sync::Arc;

use crate::spans::prices::Prices;

/// What a destination's spans hold. The default is everything by the OpenTelemetry names alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportProfile {
    /// Leaves out every carrier of what was said: messages, instructions, tools, a provider's error text.
    pub exclude_content: bool,
    /// Further names for the same facts.
    pub overlays: Overlays,
    /// The service's name, where spans are to carry what Middleware derives its views from.
    pub middleware_service: Option<String>,
    /// The longest value of an attribute in characters (`OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` of the
    /// OpenTelemetry specification); `None` for no limit.
    pub value_limit: Option<usize>,
    /// What tokens cost.
    pub prices: Arc<Prices>,
}

impl Default for ExportProfile {
    fn default() -> Self {
        Self {
            exclude_content: false,
            overlays: Overlays::default(),
            middleware_service: None,
            value_limit: None,
            prices: Prices::built_in(),
        }
    }
}

/// Names besides OpenTelemetry's, for backends that read those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlays {
    /// OpenInference (`openinference.span.kind`, `llm.*`, `input.value` …).
    pub openinference: bool,
    /// TrueFoundry (`tfy.*`).
    pub tfy: bool,
}
