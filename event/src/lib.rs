//! The contract between the filter, which writes trace events, and the exporter, which reads them.
//!
//! `proto/weir/event/v1/event.proto` is the source of truth; [`v1`] is generated from it and kept
//! in the repository, so that building needs no protobuf compiler. `tests/generated.rs` fails when
//! the two drift apart.

pub mod disclosure;
#[cfg(feature = "fixtures")]
pub mod fixtures;
pub mod resource;
pub mod words;

use std::fmt;

/// Version 1 of the contract.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/weir.event.v1.rs");
}

/// The version of this build, with what tells it from others of the version: `0.1.0+3f2a1b9c0d1e` (semantic
/// versioning, "build metadata"), or the version alone.
pub const VERSION: &str = env!("WEIR_VERSION");

/// Media type of an [`v1::EventBatch`] and a [`v1::BatchAnswer`] on the wire.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Path of the exporter's endpoint for batches.
pub const INGEST_PATH: &str = "/v1/events";

/// Path of the exporter's answer that holds nothing but the capture policy.
pub const POLICY_PATH: &str = "/v1/policy";

/// Length of a source in bytes.
pub const SOURCE_LEN: usize = 16;

/// An event's identity: the source's 16 random bytes and its sequence number.
///
/// Shown as 32 lowercase hex digits, a dash and the sequence in decimal, which is also the
/// `Nats-Msg-Id` by which JetStream recognises a repeated event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// The source: drawn at random at each VM start.
    pub source: [u8; SOURCE_LEN],
    /// Counts from 1 within the source.
    pub sequence: u64,
}

impl EventId {
    /// The id of an event, or `None` where its source is not 16 bytes or its sequence is 0.
    pub fn of(event: &v1::TraceEvent) -> Option<Self> {
        let source = <[u8; SOURCE_LEN]>::try_from(event.source.as_ref()).ok()?;
        (event.sequence > 0).then_some(Self { source, sequence: event.sequence })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.source {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "-{}", self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_hex_dash_decimal() {
        let event = v1::TraceEvent { source: vec![0xab; 16].into(), sequence: 7, ..Default::default() };
        let id = EventId::of(&event).expect("a whole id");
        assert_eq!(id.to_string(), "abababababababababababababababab-7");
    }

    #[test]
    fn an_event_without_a_whole_id_has_none() {
        let short = v1::TraceEvent { source: vec![1; 15].into(), sequence: 7, ..Default::default() };
        assert_eq!(EventId::of(&short), None);
        let unnumbered = v1::TraceEvent { source: vec![1; 16].into(), ..Default::default() };
        assert_eq!(EventId::of(&unnumbered), None);
    }
}
