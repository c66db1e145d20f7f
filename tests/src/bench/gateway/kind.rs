//! The gateways that are compared.

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Envoy as it is.
    Bare,
    /// Envoy with a filter that does nothing.
    Noop,
    /// Weir: keys, a virtual model of two targets, redaction of exported content, tracing.
    Weir,
    /// Portkey's gateway.
    Portkey,
    /// LiteLLM's proxy.
    LiteLlm,
}

impl Kind {
    /// What shows Weir's cost, in the order of a round.
    pub const OURS: [Self; 3] = [Self::Bare, Self::Noop, Self::Weir];
    /// Weir and others, in the order of a round.
    pub const PEERS: [Self; 4] = [Self::Bare, Self::Weir, Self::Portkey, Self::LiteLlm];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Noop => "noop",
            Self::Weir => "weir",
            Self::Portkey => "portkey",
            Self::LiteLlm => "litellm",
        }
    }
}
