//! The outbox: finished events on their way to the exporter, one for each worker.
//!
//! Always true: `created = accepted + dropped + sampled_out + pending`, what is held stays below
//! the cap, and an event leaves only when ingest has named it as stored or refused, or when it
//! was dropped and counted. No clock, no randomness, no network: they come in as arguments.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use weir_event::v1;

use crate::random::Random;

/// Most bytes of events that are held, sent and unsent together.
pub const OUTBOX_MAX: usize = 4 << 20;
/// Most events in one batch.
pub const BATCH_EVENTS: usize = 512;
/// Most bytes of events in one batch, unless a single event is larger.
pub const BATCH_BYTES: usize = 512 << 10;
/// Most batches under way at once.
pub const CALLS_MAX: usize = 4;
/// How long the exporter may take to answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// When a call that was never answered is given up: its context may be gone, and the answer with it.
const CALL_LOST: Duration = Duration::from_secs(30);
/// How long a finished event waits for company at most.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// First and longest pause after a failure; it doubles in between.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Longest pause that an answer's Retry-After can ask for.
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
pub enum Answer {
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

    /// Takes the answer to a batch: settles what was stored or refused, keeps the rest.
    pub fn answered(&mut self, token: u32, answer: Answer, now_ns: u64, random: &mut Random) {
        let Some(UnderWay { entries, .. }) = self.under_way.remove(&token) else { return };
        let (status, retry_after, body) = match answer {
            Answer::Failed => (0, None, Vec::new()),
            Answer::Status { status, retry_after, body } => (status, retry_after, body),
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
            // This batch can never be taken as it is. Alone, each event gets an answer of its own.
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

    /// Lets go of what the answer names as stored or refused; gives back what it does not name.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outbox() -> (Outbox, Random) {
        (Outbox::new([9; 16]), Random::from_seed([3; 32]))
    }

    fn event(size: usize) -> v1::TraceEvent {
        let request = v1::Request { user_agent: "x".repeat(size), ..Default::default() };
        v1::TraceEvent { request: Some(request), ..Default::default() }
    }

    fn answer(status: u16, stored: &[u64], refused: &[u32]) -> Answer {
        let refused =
            refused.iter().map(|position| v1::Refusal { position: *position, reason: String::new() });
        let body =
            v1::BatchAnswer { stored: stored.to_vec(), refused: refused.collect(), ..Default::default() };
        Answer::Status { status, retry_after: None, body: body.encode_to_vec() }
    }

    fn sequences(batch: &Batch) -> Vec<u64> {
        let decoded = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
        decoded.events.into_iter().map(|bytes| v1::TraceEvent::decode(bytes).unwrap().sequence).collect()
    }

    #[test]
    fn what_waits_loses_its_content_where_the_policy_has_become_stricter() {
        let (mut outbox, mut random) = outbox();
        let content = v1::Content { request: vec![b'c'; 1000].into(), ..Default::default() };
        outbox.push(v1::TraceEvent { content: Some(content), ..event(10) });
        outbox.push(event(10));
        let batch = outbox.next_batch(0).unwrap();
        assert!(batch.body.len() > 1000);
        outbox.sent(1, batch, 0);
        outbox.answered(1, Answer::Failed, 0, &mut random);
        outbox.withhold_content(true);
        let batch = outbox.next_batch(u64::MAX).unwrap();
        assert!(batch.body.len() < 200 && sequences(&batch) == [1, 2]);
        let decoded = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
        let content = v1::TraceEvent::decode(decoded.events[0].clone()).unwrap().content.unwrap();
        assert_eq!(content.capture(), v1::Capture::Excluded);
        assert!(v1::TraceEvent::decode(decoded.events[1].clone()).unwrap().content.is_none());
        outbox.sent(2, batch, 0);
        outbox.answered(2, answer(200, &[1, 2], &[]), 0, &mut random);
        assert_eq!((outbox.totals().accepted, outbox.bytes), (2, 0));
    }

    fn balanced(outbox: &Outbox) -> bool {
        let t = outbox.totals();
        t.created == t.accepted + t.dropped_outbox_full + t.dropped_refused + t.sampled_out + t.pending
            && outbox.bytes <= OUTBOX_MAX
    }

    #[test]
    fn events_leave_when_ingest_names_them_as_stored() {
        let (mut outbox, mut random) = outbox();
        (0..3).for_each(|_| outbox.push(event(10)));
        let batch = outbox.next_batch(0).unwrap();
        assert_eq!(sequences(&batch), [1, 2, 3]);
        let totals = v1::EventBatch::decode(batch.body.as_slice()).unwrap().totals.unwrap();
        assert_eq!((totals.created, totals.pending), (3, 3));
        outbox.sent(1, batch, 0);
        assert!(outbox.next_batch(0).is_none());
        outbox.answered(1, answer(200, &[1, 2, 3], &[]), 0, &mut random);
        assert_eq!((outbox.totals().accepted, outbox.totals().pending, outbox.bytes), (3, 0, 0));
    }

    #[test]
    fn the_resource_goes_once_with_each_batch_and_with_no_event() {
        let (mut outbox, _) = outbox();
        let resource = BTreeMap::from([("host.name".to_owned(), "node-7".to_owned())]);
        outbox.set_resource(resource.clone());
        for size in [10, BATCH_BYTES, 10] {
            outbox.push(event(size));
        }
        for _ in 0..3 {
            let batch = v1::EventBatch::decode(outbox.next_batch(0).unwrap().body.as_slice()).unwrap();
            assert_eq!(batch.resource, resource);
            assert!(v1::TraceEvent::decode(batch.events[0].clone()).unwrap().resource.is_empty());
        }
    }

    #[test]
    fn an_answer_of_the_exporters_next_version_settles_what_it_names() {
        let (mut outbox, mut random) = outbox();
        (0..2).for_each(|_| outbox.push(event(10)));
        let batch = outbox.next_batch(0).unwrap();
        outbox.sent(1, batch, 0);
        let Answer::Status { status, retry_after, mut body } = answer(200, &[1, 2], &[]) else { panic!() };
        // Field 1000, which is in no version yet.
        body.extend([0xc0, 0x3e, 0x01]);
        outbox.answered(1, Answer::Status { status, retry_after, body }, 0, &mut random);
        assert_eq!((outbox.totals().accepted, outbox.totals().pending), (2, 0));
    }

    #[test]
    fn only_what_was_not_stored_is_sent_again_and_after_a_pause() {
        let (mut outbox, mut random) = outbox();
        (0..4).for_each(|_| outbox.push(event(10)));
        let batch = outbox.next_batch(0).unwrap();
        outbox.sent(1, batch, 0);
        outbox.answered(1, answer(503, &[1, 3], &[3]), 0, &mut random);
        assert!(outbox.next_batch(0).is_none(), "a failure is followed by a pause");
        assert_eq!(sequences(&outbox.next_batch(200_000_000).unwrap()), [2]);
        assert_eq!(outbox.totals().dropped_refused, 1);
    }

    #[test]
    fn the_pause_grows_to_its_cap_and_honours_retry_after() {
        let (mut outbox, mut random) = outbox();
        outbox.push(event(10));
        let mut pauses = Vec::new();
        for token in 0..12 {
            let batch = outbox.next_batch(u64::MAX).unwrap();
            outbox.sent(token, batch, u64::MAX);
            outbox.answered(token, Answer::Failed, 0, &mut random);
            pauses.push(outbox.not_before_ns / 1_000_000);
        }
        assert!((100..=200).contains(&pauses[0]) && (5000..=10_000).contains(&pauses[11]), "{pauses:?}");
        let batch = outbox.next_batch(u64::MAX).unwrap();
        outbox.sent(99, batch, u64::MAX);
        let asked = Answer::Status { status: 503, retry_after: Some(30), body: Vec::new() };
        outbox.answered(99, asked, 0, &mut random);
        assert_eq!(outbox.not_before_ns, 30_000_000_000);
    }

    #[test]
    fn when_full_the_oldest_unsent_goes_and_is_counted() {
        let (mut outbox, _) = outbox();
        (0..5).for_each(|_| outbox.push(event(1 << 20)));
        assert_eq!(outbox.totals().dropped_outbox_full, 2);
        let batch = outbox.next_batch(0).unwrap();
        assert_eq!(sequences(&batch), [3]);
        outbox.sent(0, batch, 0);
        outbox.push(event(OUTBOX_MAX));
        assert_eq!((outbox.totals().dropped_outbox_full, outbox.totals().pending), (3, 3));
        assert!(balanced(&outbox), "{:?}", outbox.totals());
    }

    #[test]
    fn a_batch_refused_whole_is_sent_event_by_event_and_only_the_culprit_is_dropped() {
        let (mut outbox, mut random) = outbox();
        (0..3).for_each(|_| outbox.push(event(10)));
        let batch = outbox.next_batch(0).unwrap();
        outbox.sent(0, batch, 0);
        outbox.answered(0, answer(400, &[], &[]), 0, &mut random);
        for sequence in 1..=3 {
            let batch = outbox.next_batch(0).unwrap();
            assert_eq!(sequences(&batch), [sequence]);
            outbox.sent(0, batch, 0);
            let status = if sequence == 2 { 400 } else { 200 };
            outbox.answered(0, answer(status, &[sequence], &[]), 0, &mut random);
        }
        let totals = outbox.totals();
        assert_eq!((totals.accepted, totals.dropped_refused, totals.pending), (2, 1, 0));
    }

    #[test]
    fn a_call_that_is_never_answered_is_given_up_and_its_events_sent_again() {
        let (mut outbox, mut random) = outbox();
        outbox.push(event(10));
        let batch = outbox.next_batch(0).unwrap();
        outbox.sent(7, batch, 0);
        assert!(outbox.next_batch(30_000_000_000).is_none());
        assert_eq!(sequences(&outbox.next_batch(30_000_000_001).unwrap()), [1]);
        outbox.answered(7, answer(200, &[1], &[]), 0, &mut random);
        assert_eq!(outbox.totals().accepted, 0, "an answer that comes too late settles nothing twice");
    }

    #[test]
    fn a_wrong_token_keeps_the_events() {
        let (mut outbox, mut random) = outbox();
        outbox.push(event(10));
        let batch = outbox.next_batch(0).unwrap();
        outbox.sent(0, batch, 0);
        outbox.answered(
            0,
            Answer::Status { status: 401, retry_after: None, body: Vec::new() },
            0,
            &mut random,
        );
        assert_eq!(outbox.totals().pending, 1);
    }

    proptest! {
        #[test]
        fn the_ledger_balances_whatever_happens(steps in prop::collection::vec((0u8..6, 0usize..700_000, any::<u64>()), 1..80)) {
            let (mut outbox, mut random) = outbox();
            let mut open = Vec::new();
            for (token, (what, size, salt)) in (0u32..).zip(steps) {
                match what {
                    0 | 1 => outbox.push(event(size)),
                    2 => if let Some(batch) = outbox.next_batch(u64::MAX) {
                        open.push((token, sequences(&batch)));
                        outbox.sent(token, batch, u64::MAX - salt % 60_000_000_000);
                    },
                    3 => if let Some(batch) = outbox.next_batch(u64::MAX) {
                        outbox.not_sent(batch, 0, &mut random);
                    },
                    _ => if let Some((token, sent)) = open.pop() {
                        let stored: Vec<u64> = sent.into_iter().filter(|s| (s ^ salt) & 1 == 0).collect();
                        let status = [200, 503, 400, 500][(salt % 4) as usize];
                        outbox.answered(token, answer(status, &stored, &[(salt % 7) as u32]), 0, &mut random);
                    },
                }
                prop_assert!(balanced(&outbox), "{:?}", outbox.totals());
            }
        }
    }
}
