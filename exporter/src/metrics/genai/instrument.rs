//! The instruments: names, units, descriptions and bucket boundaries as the GenAI semantic conventions 1.41
//! give them ("Generative AI client metrics").

/// Upper bounds of the buckets for times, in seconds.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Upper bounds of the buckets for tokens.
const TOKENS: [f64; 14] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0,
    16777216.0, 67108864.0,
];

/// A histogram that events are counted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instrument {
    /// Tokens of an operation, input and output apart.
    TokenUsage,
    /// Seconds from the decision to the end of the last attempt.
    OperationDuration,
    /// Seconds from the decision to the first chunk of a stream.
    TimeToFirstChunk,
    /// Seconds from one chunk of a stream to the next.
    TimePerOutputChunk,
}

impl Instrument {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenUsage => "gen_ai.client.token.usage",
            Self::OperationDuration => "gen_ai.client.operation.duration",
            Self::TimeToFirstChunk => "gen_ai.client.operation.time_to_first_chunk",
            Self::TimePerOutputChunk => "gen_ai.client.operation.time_per_output_chunk",
        }
    }

    /// Its unit (UCUM).
    pub fn unit(self) -> &'static str {
        match self {
            Self::TokenUsage => "{token}",
            Self::OperationDuration | Self::TimeToFirstChunk | Self::TimePerOutputChunk => "s",
        }
    }

    /// What it measures.
    pub fn description(self) -> &'static str {
        match self {
            Self::TokenUsage => "Input and output tokens of an operation.",
            Self::OperationDuration => "Duration of an operation, all attempts included.",
            Self::TimeToFirstChunk => "Time to the first chunk of a streamed response.",
            Self::TimePerOutputChunk => "Time between the chunks of a streamed response.",
        }
    }

    /// The upper bounds of its buckets, each bound within its bucket; one more bucket takes what is beyond.
    pub fn bounds(self) -> &'static [f64] {
        match self {
            Self::TokenUsage => &TOKENS,
            Self::OperationDuration | Self::TimeToFirstChunk | Self::TimePerOutputChunk => &SECONDS,
        }
    }
}
