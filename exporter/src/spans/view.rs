//! How a destination wants its spans: with or without content, in whose names besides the standard ones.

/// What a destination's spans hold. The default is everything by the OpenTelemetry names alone.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Leaves out every carrier of what was said: messages, instructions, tools, a provider's error text.
    pub exclude_content: bool,
    /// Further names for the same facts.
    pub overlays: Overlays,
}

/// Names besides OpenTelemetry's, for backends that read those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlays {
    /// OpenInference (`openinference.span.kind`, `llm.*`, `input.value` …).
    pub openinference: bool,
    /// TrueFoundry (`tfy.*`).
    pub tfy: bool,
}
