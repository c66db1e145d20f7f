//! JetStream's report on the stream and a consumer.

/// JetStream's report on the stream and a consumer, read before the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When the stream was made.
    pub stream: String,
    /// Its first sequence.
    pub first: u64,
    /// Its last sequence.
    pub last: u64,
    /// Up to here the consumer's events are acknowledged or gone.
    pub ack_floor: u64,
    /// Events that wait for the consumer, or are delivered and not acknowledged.
    pub backlog: u64,
}
