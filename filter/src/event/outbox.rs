//! The outbox: finished events on their way to the exporter, one for each worker.
//!
//! Always true: `created = accepted + dropped + sampled_out + pending`, what is held stays below
//! the cap, and an event leaves only when ingest has named it as stored or refused, or when it
//! was dropped and counted. No clock, no randomness, no network: they come in as arguments.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use weir_event::v1;

use crate::capture::budget::OUTBOX_SHARE;
use crate::random::Random;

/// Most bytes of events that are held, sent and unsent together.
pub const OUTBOX_MAX: usize = 4 << 20;
// The rest is for entries, of which small events need as much again.
const _: () = assert!(2 * OUTBOX_MAX <= OUTBOX_SHARE, "the outbox fits into its share of the memory");
/// Most events in one batch.
pub const BATCH_EVENTS: usize = 512;
/// Most bytes of events in one batch, unless a single event is larger.
pub const BATCH_BYTES: usize = 512 << 10;
/// Most batches under way at once.
pub const CALLS_MAX: usize = 4;
/// How long the exporter may take to answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// When a call that was never answered is given up: its context may be gone, and the response with it.
const CALL_LOST: Duration = Duration::from_secs(30);
/// How long a finished event waits for company at most.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// First and longest pause after a failure; it doubles in between.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Longest pause that a response's Retry-After can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Entry {
    sequence: u64,
    bytes: Bytes,
    /// Whether it tells what was said.
    has_content: bool,
    /// Its batch was refused whole, so it goes alone, to find out which event is the reason.
    alone: bool,
}

/// A batch that is ready to be sent.
#[derive(Debug)]
pub struct Batch {
    /// The body: a serialized [`v1::EventBatch`].
    pub body: Vec<u8>,
    entries: Vec<Entry>,
}

/// A batch whose answer is awaited.
#[derive(Debug)]
struct UnderWay {
    entries: Vec<Entry>,
    sent_ns: u64,
}

/// What came of a batch.
#[derive(Debug)]
pub enum CallOutcome {
    /// The call failed, or timed out, or could not be made.
    Failed,
    /// The exporter answered.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds of Retry-After, where given.
        retry_after: Option<u64>,
        /// The body: a serialized [`v1::BatchAnswer`] where ingest itself answered.
        body: Vec<u8>,
    },
}

/// Finished events on their way to the exporter.
#[derive(Debug)]
pub struct Outbox {
    source: Bytes,
    /// The resource of this Envoy, which goes with each batch.
    resource: BTreeMap<String, String>,
    unsent: VecDeque<Entry>,
    under_way: HashMap<u32, UnderWay>,
    bytes: usize,
    totals: v1::Totals,
    failures: u32,
    not_before_ns: u64,
    /// Whether events lose their content before they are sent.
    withholds: bool,
}

impl Outbox {
    /// An empty outbox of this source.
    pub fn new(source: [u8; weir_event::SOURCE_LEN]) -> Self {
        Self {
            source: Bytes::copy_from_slice(&source),
            resource: BTreeMap::new(),
            unsent: VecDeque::new(),
            under_way: HashMap::new(),
            bytes: 0,
            totals: v1::Totals::default(),
            failures: 0,
            not_before_ns: 0,
            withholds: false,
        }
    }

    /// Sets the resource of this Envoy ([`crate::event::resource`]), which is sent with each batch from now on.
    pub fn set_resource(&mut self, resource: BTreeMap<String, String>) {
        self.resource = resource;
    }

    /// Whether events lose what was said before they are sent, those that wait already too.
    pub fn withhold_content(&mut self, withholds: bool) {
        self.withholds = withholds;
    }

    /// Whether something waits to be sent.
    pub fn has_unsent(&mut self, now_ns: u64) -> bool {
        self.take_back_lost(now_ns);
        !self.unsent.is_empty()
    }

    /// Takes a finished event, numbers it, and makes room for it at the cost of the oldest.
    pub fn push(&mut self, mut event: v1::TraceEvent) {
        self.totals.created += 1;
        event.source = self.source.clone();
        event.sequence = self.totals.created;
        let has_content = event.content.as_ref().is_some_and(says_something);
        let bytes = Bytes::from(event.encode_to_vec());
        // An event that could never fit must not push the others out.
        while bytes.len() <= OUTBOX_MAX
            && self.bytes + bytes.len() > OUTBOX_MAX
            && let Some(oldest) = self.unsent.pop_front()
        {
            self.bytes -= oldest.bytes.len();
            self.totals.dropped_outbox_full += 1;
        }
        if self.bytes + bytes.len() > OUTBOX_MAX {
            self.totals.dropped_outbox_full += 1;
            return;
        }
        self.bytes += bytes.len();
        self.unsent.push_back(Entry { sequence: event.sequence, bytes, has_content, alone: false });
    }

    /// Counts an event that sampling leaves out. It has a number too, so that the ledger is whole.
    pub fn leave_out(&mut self) {
        self.totals.created += 1;
        self.totals.sampled_out += 1;
    }

    /// The next batch, if there is anything to send and the time for it has come.
    pub fn next_batch(&mut self, now_ns: u64) -> Option<Batch> {
        self.take_back_lost(now_ns);
        if self.under_way.len() >= CALLS_MAX || now_ns < self.not_before_ns || self.unsent.is_empty() {
            return None;
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut size = 0;
        while let Some(next) = self.unsent.front() {
            let fits = entries.len() < BATCH_EVENTS && size + next.bytes.len() <= BATCH_BYTES && !next.alone;
            if !fits && !entries.is_empty() {
                break;
            }
            size += next.bytes.len();
            let alone = next.alone;
            let mut entry = self.unsent.pop_front();
            if self.withholds
                && let Some(entry) = entry.as_mut().filter(|entry| entry.has_content)
            {
                let before = entry.bytes.len();
                entry.bytes = without_content(&entry.bytes);
                entry.has_content = false;
                self.bytes = self.bytes.saturating_sub(before) + entry.bytes.len();
            }
            entries.extend(entry);
            if alone {
                break;
            }
        }
        let batch = v1::EventBatch {
            source: self.source.clone(),
            events: entries.iter().map(|entry| entry.bytes.clone()).collect(),
            // These entries are in no queue at this moment, but pending they are.
            totals: Some(self.totals_with(entries.len())),
            resource: self.resource.clone(),
        };
        Some(Batch { body: batch.encode_to_vec(), entries })
    }

    /// Notes that a batch is under way by this token.
    pub fn sent(&mut self, token: u32, batch: Batch, now_ns: u64) {
        self.under_way.insert(token, UnderWay { entries: batch.entries, sent_ns: now_ns });
    }

    /// Takes back a batch for which no call could be made.
    pub fn not_sent(&mut self, batch: Batch, now_ns: u64, random: &mut Random) {
        self.put_back(batch.entries);
        self.pause(now_ns, None, random);
    }

    /// Takes the response to a batch: settles what was stored or refused, keeps the rest.
    pub fn answered(&mut self, token: u32, outcome: CallOutcome, now_ns: u64, random: &mut Random) {
        let Some(UnderWay { entries, .. }) = self.under_way.remove(&token) else { return };
        let (status, retry_after, body) = match outcome {
            CallOutcome::Failed => (0, None, Vec::new()),
            CallOutcome::Status { status, retry_after, body } => (status, retry_after, body),
        };
        match status {
            200..=299 | 503 => {
                let rest = self.settle(entries, &body);
                if rest.is_empty() {
                    self.failures = 0;
                    self.not_before_ns = 0;
                } else {
                    self.put_back(rest);
                    self.pause(now_ns, retry_after, random);
                }
            }
            // This batch can never be taken as it is. Alone, each event gets a response of its own.
            400 | 413 => {
                if let [only] = entries.as_slice() {
                    self.bytes -= only.bytes.len();
                    self.totals.dropped_refused += 1;
                } else {
                    self.put_back(entries.into_iter().map(|entry| Entry { alone: true, ..entry }).collect());
                }
            }
            // Everything else may pass, or be mended by an operator: keep the events.
            _ => {
                self.put_back(entries);
                self.pause(now_ns, retry_after, random);
            }
        }
    }

    /// The ledger as it stands.
    pub fn totals(&self) -> v1::Totals {
        self.totals_with(0)
    }

    fn totals_with(&self, in_hand: usize) -> v1::Totals {
        let under_way: usize = self.under_way.values().map(|call| call.entries.len()).sum();
        let pending = self.unsent.len() + under_way + in_hand;
        v1::Totals { pending: pending.try_into().unwrap_or(u64::MAX), ..self.totals }
    }

    /// Lets go of what the response names as stored or refused; gives back what it does not name.
    fn settle(&mut self, entries: Vec<Entry>, body: &[u8]) -> Vec<Entry> {
        let answer = v1::BatchAnswer::decode(body).unwrap_or_default();
        let mut rest = Vec::new();
        // `stored` is in the order of the batch, so both lists are walked once.
        let mut stored = answer.stored.iter().peekable();
        for (position, entry) in entries.into_iter().enumerate() {
            if stored.next_if(|sequence| **sequence == entry.sequence).is_some() {
                self.totals.accepted += 1;
            } else if answer.refused.iter().any(|refusal| u32::try_from(position) == Ok(refusal.position)) {
                self.totals.dropped_refused += 1;
            } else {
                rest.push(entry);
                continue;
            }
            if let Some(settled) = self.bytes.checked_sub(entry.bytes.len()) {
                self.bytes = settled;
            }
        }
        rest
    }

    /// Events of calls that nobody will answer any more are sent again; ingest knows repeated ones.
    fn take_back_lost(&mut self, now_ns: u64) {
        let longest = u64::try_from(CALL_LOST.as_nanos()).unwrap_or(u64::MAX);
        let is_lost = |call: &mut UnderWay| now_ns.saturating_sub(call.sent_ns) > longest;
        let lost: Vec<_> = self.under_way.extract_if(|_, call| is_lost(call)).collect();
        for (_, call) in lost {
            self.put_back(call.entries);
        }
    }

    /// To the front, in order: what is oldest goes first again.
    fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.unsent.push_front(entry);
        }
    }

    /// Exponential backoff with full jitter on its upper half, at least what was asked for.
    fn pause(&mut self, now_ns: u64, retry_after: Option<u64>, random: &mut Random) {
        let (first, longest) = BACKOFF;
        let step = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let jittered = step.mul_f64(0.5 + random.fraction() / 2.0);
        let asked = retry_after.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX);
        let pause = u64::try_from(jittered.max(asked).as_nanos()).unwrap_or(u64::MAX);
        self.not_before_ns = now_ns.saturating_add(pause);
    }
}

/// Whether there is more than that nothing was kept.
fn says_something(content: &v1::Content) -> bool {
    *content != v1::Content { capture: content.capture, ..Default::default() }
}

/// An event as if its content had never been kept. One that cannot be read is none of ours, and empty.
fn without_content(event: &Bytes) -> Bytes {
    let mut event = v1::TraceEvent::decode(event.clone()).unwrap_or_default();
    event.content = Some(v1::Content { capture: v1::Capture::Excluded.into(), ..Default::default() });
    event.encode_to_vec().into()
}
