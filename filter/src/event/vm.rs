//! What all contexts of one VM share: one VM for each worker, one thread in each VM.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use weir_event::{SOURCE_LEN, v1};

use crate::balancing::{TargetIds, TargetStates};
use crate::capture::budget::Budget;
use crate::config::{Config, MEMORY_BUDGET};
use crate::event::capture_policy::Policy;
use crate::event::exchange::Streams;
use crate::event::outbox::Outbox;
use crate::event::unfinished::Unfinished;
use crate::random::Random;
use crate::redact::SLICE;

/// Random bytes that a VM needs at its start.
pub const ENTROPY: usize = SOURCE_LEN + 32;

/// The state of one VM. Each part is borrowed for one step at a time and never across a call into
/// the proxy, since that call may come back into the VM.
#[derive(Debug)]
pub struct Vm {
    /// Ids and jitter.
    pub random: RefCell<Random>,
    /// The requests under way.
    pub streams: RefCell<Streams>,
    /// The numbers of targets.
    pub target_ids: RefCell<TargetIds>,
    /// What was seen of them.
    pub targets: RefCell<TargetStates>,
    /// The memory for all that is held for the requests under way.
    pub memory: Rc<Budget>,
    /// The part of it for their content.
    pub budget: Rc<Budget>,
    /// Events whose content is still being redacted.
    pub unfinished: RefCell<Unfinished>,
    /// Finished events.
    pub outbox: RefCell<Outbox>,
    /// What may be exported of requests, by the exporter's word.
    pub policy: RefCell<Policy>,
    /// What the counters in Envoy's stats already show of the outbox's ledger.
    pub counted: Cell<v1::Totals>,
    /// What the gauge in Envoy's stats already shows of the requests under way.
    pub gauged: Cell<usize>,
    /// Requests refused, and responses ended, because there was no memory for them, and those of them that the
    /// counter in Envoy's stats already shows.
    pub overloads: Cell<u64>,
    /// See [`Self::overloads`].
    pub overloads_counted: Cell<u64>,
    /// What the gauges in Envoy's stats already show of the VM's memory, and of what is reserved of it, in
    /// bytes.
    pub memory_gauged: Cell<(i64, i64)>,
}

impl Vm {
    /// A VM whose source and random numbers come from these bytes.
    pub fn new(entropy: &[u8; ENTROPY]) -> Self {
        let (mut source, mut seed) = ([0; SOURCE_LEN], [0; 32]);
        for (to, from) in source.iter_mut().chain(seed.iter_mut()).zip(entropy) {
            *to = *from;
        }
        let memory = Rc::new(Budget::new(MEMORY_BUDGET));
        Self {
            random: RefCell::new(Random::from_seed(seed)),
            streams: RefCell::default(),
            target_ids: RefCell::default(),
            targets: RefCell::default(),
            budget: Rc::new(Budget::part_of(&memory)),
            memory,
            unfinished: RefCell::default(),
            outbox: RefCell::new(Outbox::new(source)),
            policy: RefCell::default(),
            counted: Cell::default(),
            gauged: Cell::default(),
            overloads: Cell::default(),
            overloads_counted: Cell::default(),
            memory_gauged: Cell::default(),
        }
    }

    /// Redacts the content of the newest unfinished event for a slice, or of the oldest.
    pub fn finish_event(&self, newest: bool) {
        let finished = self.unfinished.borrow_mut().go_on(newest, SLICE);
        if let Some(event) = finished {
            self.outbox.borrow_mut().push(event);
        }
    }

    /// Finishes all events, however long that takes: nothing will go on with them later.
    pub fn finish_events(&self) {
        while !self.unfinished.borrow().is_empty() {
            self.finish_event(false);
        }
    }

    /// Takes on the limits of a configuration. What is reserved stays reserved.
    pub fn limit(&self, config: &Config) {
        self.memory.set(config.memory.budget);
        self.budget.set(config.capture.budget);
    }

    /// Counts a request that was refused, or whose response was ended, because there was no memory for it.
    pub fn count_overload(&self) {
        self.overloads.set(self.overloads.get().saturating_add(1));
    }
}
