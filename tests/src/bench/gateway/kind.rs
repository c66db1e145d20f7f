//! The gateways that are compared.

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Envoy as it is.
    Bare,
    /// Envoy with a filter that does nothing.
    Noop,
    /// Weir: keys, a virtual model of two targets, redaction of exported content, tracing.
    Weir,
}

impl Kind {
    /// All of them, in the order of a round.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Noop, Self::Weir];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Noop => "noop",
            Self::Weir => "weir",
        }
    }
}
