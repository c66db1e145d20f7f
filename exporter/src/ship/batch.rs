//! A batch in hand: events pulled and not yet settled, and the bytes they are sent as.
//!
//! Whatever enters a [`Batch`] leaves it settled, which is acknowledged, or handed back; the gauge follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use async_nats::jetstream::{AckKind, Message as Pull, message::Acker};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::time::timeout;
use tracing::debug;
use weir_event::EventId;

use crate::{
    bus::payload,
    destination::When,
    metrics::ShipMetrics,
    otlp::EncodeError,
    ship::encode::{Encoder, Fragments, Sealed},
    spans::{self, ExportProfile, resource::Attributes},
};

/// How long a round of acknowledgements may take to be handed to the client.
const ACK_DEADLINE: Duration = Duration::from_secs(5);

/// How often an event is taken up. One that was so often in hand without an end, neither settled nor given back, is
/// what ends whoever takes it up, as far as can be told.
const MAX_TAKEN_UP: i64 = 3;

/// An event as it was pulled.
pub(super) struct Pulled {
    pub(super) message: async_nats::Message,
    pub(super) acker: Acker,
    /// Its sequence in the stream.
    pub(super) sequence: u64,
    /// When it was stored.
    pub(super) stored: SystemTime,
    /// It was delivered before and not acknowledged.
    pub(super) redelivered: bool,
    /// It was taken up as often as an event is, by JetStream's count.
    pub(super) is_worn: bool,
}

impl Pulled {
    /// `None` where the message did not come from a consumer, which does not happen.
    pub(super) fn new(message: Pull) -> Option<Self> {
        let info = message.info().ok()?;
        let (sequence, redelivered, stored) =
            (info.stream_sequence, info.delivered > 1, info.published.into());
        let is_worn = info.delivered > MAX_TAKEN_UP;
        let (message, acker) = message.split();
        Some(Self { message, acker, sequence, stored, redelivered, is_worn })
    }
}

/// Why an event is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The destination does not want it, or it is another's replay.
    Filtered,
    /// It is no event.
    Undecodable,
    /// It was taken up as often as an event is, and never came to an end.
    Worn,
}

/// How a destination turns events into bytes.
pub(super) struct Mapper {
    pub(super) destination: String,
    pub(super) profile: ExportProfile,
    pub(super) when: Option<When>,
    pub(super) encoder: Encoder,
}

impl Mapper {
    /// Maps and encodes events, of which about so many bytes are expected; those that are not sent come out beside.
    pub(super) fn map(
        &self,
        pulled: Vec<Pulled>,
        expected: usize,
        metrics: &ShipMetrics,
    ) -> Result<Mapped, EncodeError> {
        let mut mapped = Mapped { batch: Batch::new(metrics.clone()), unsent: Vec::new() };
        let mut fragments = Fragments::with_capacity(expected + expected / 8);
        for one in pulled {
            let held = Held {
                acker: one.acker,
                sequence: one.sequence,
                stored: one.stored,
                doubt: AtomicBool::new(one.redelivered),
            };
            let spans = if one.is_worn { Err(Unsent::Worn) } else { self.spans(&one.message) };
            match spans {
                Ok((spans, resource)) => {
                    self.encoder.add(&mut fragments, &spans, &resource)?;
                    mapped.batch.add(held);
                }
                Err(why) => mapped.unsent.push((held, why)),
            }
        }
        mapped.batch.fragments = fragments.seal();
        Ok(mapped)
    }

    /// An event's spans, and the resource that it carries.
    fn spans(&self, message: &async_nats::Message) -> Result<(Vec<Span>, Attributes), Unsent> {
        if payload::replay_target(&message.subject).is_some_and(|target| target != self.destination) {
            return Err(Unsent::Filtered);
        }
        let event = payload::event(message).ok_or(Unsent::Undecodable)?;
        if self.when.as_ref().is_some_and(|when| !when.holds(&event)) {
            return Err(Unsent::Filtered);
        }
        let id = EventId::of(&event).ok_or(Unsent::Undecodable)?;
        Ok((spans::of(id, &event, &self.profile), event.resource))
    }
}

/// What mapping gives.
pub(super) struct Mapped {
    pub(super) batch: Batch,
    pub(super) unsent: Vec<(Held, Unsent)>,
}

/// An event in hand.
pub(super) struct Held {
    pub(super) acker: Acker,
    pub(super) sequence: u64,
    pub(super) stored: SystemTime,
    /// The destination may have it already: it was in hand before, or an attempt got no response.
    doubt: AtomicBool,
}

/// Events in hand, by their place in the fragments.
pub(super) struct Batch {
    held: BTreeMap<usize, Held>,
    pub(super) fragments: Sealed,
    metrics: ShipMetrics,
}

impl Batch {
    fn new(metrics: ShipMetrics) -> Self {
        Self { held: BTreeMap::new(), fragments: Sealed::default(), metrics }
    }

    fn add(&mut self, held: Held) {
        self.held.insert(self.held.len(), held);
        self.metrics.in_hand.inc();
    }

    /// Ranges that fit `limit` bytes each.
    pub(super) fn cut(&self, limit: usize) -> Vec<Range<usize>> {
        let (mut ranges, mut start, end) = (Vec::new(), 0, self.fragments.len());
        while start < end {
            let next = start + self.fragments.fitting(&(start..end), limit);
            ranges.push(start..next);
            start = next;
        }
        ranges
    }

    /// The sequences of a range.
    pub(super) fn sequences(&self, events: &Range<usize>) -> Vec<u64> {
        self.held.range(events.clone()).map(|(_, held)| held.sequence).collect()
    }

    /// Marks a range as perhaps taken.
    pub(super) fn doubt(&self, events: &Range<usize>) {
        self.held.range(events.clone()).for_each(|(_, held)| held.doubt.store(true, Ordering::Relaxed));
    }

    /// Those of a range that the destination may have had before.
    pub(super) fn doubtful(&self, events: &Range<usize>) -> BTreeSet<u64> {
        let doubtful = self.held.range(events.clone()).filter(|(_, held)| held.doubt.load(Ordering::Relaxed));
        doubtful.map(|(_, held)| held.sequence).collect()
    }

    /// Those of all that the destination has not had.
    pub(super) fn undoubted(&self) -> Vec<u64> {
        let held = self.held.values().filter(|held| !held.doubt.load(Ordering::Relaxed));
        held.map(|held| held.sequence).collect()
    }

    /// All that is left.
    pub(super) fn left(&self) -> Vec<u64> {
        self.held.values().map(|held| held.sequence).collect()
    }

    /// When the oldest of a range was stored.
    pub(super) fn oldest(&self, events: &Range<usize>) -> Option<SystemTime> {
        self.held.range(events.clone()).map(|(_, held)| held.stored).min()
    }

    /// Acknowledges a range, which is settled.
    pub(super) async fn acknowledge(&mut self, events: &Range<usize>) {
        let done: Vec<Held> = events.clone().filter_map(|place| self.held.remove(&place)).collect();
        acknowledge_all(done.iter().map(|held| &held.acker), AckKind::Ack).await;
        self.metrics.in_hand.dec_by(i64::try_from(done.len()).unwrap_or(i64::MAX));
    }

    /// Tells JetStream that all of it is being worked on.
    pub(super) async fn progress(&self) {
        acknowledge_all(self.held.values().map(|held| &held.acker), AckKind::Progress).await;
    }

    /// Gives back what is left: JetStream delivers it again at once.
    pub(super) async fn hand_back(self) {
        acknowledge_all(self.held.values().map(|held| &held.acker), AckKind::Nak(None)).await;
        self.metrics.handed_back.inc_by(u64::try_from(self.held.len()).unwrap_or(u64::MAX));
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.metrics.in_hand.dec_by(i64::try_from(self.held.len()).unwrap_or(i64::MAX));
    }
}

/// Acknowledges messages; what cannot be acknowledged comes again, which is safe.
pub(super) async fn acknowledge_all(ackers: impl Iterator<Item = &Acker>, kind: AckKind) {
    let all = async {
        for acker in ackers {
            acker.ack_with(kind).await?;
        }
        Ok::<(), async_nats::Error>(())
    };
    match timeout(ACK_DEADLINE, all).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, ?kind, "cannot tell JetStream"),
        Err(_) => debug!(?kind, "cannot tell JetStream in time"),
    }
}
