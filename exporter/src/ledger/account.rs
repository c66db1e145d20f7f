//! One destination's ledger, in events: what became of every sequence of the stream.
//!
//! `stored = delivered + rejected + dead_lettered + filtered + evicted + purged + backlog`, where the backlog is
//! JetStream's own count. Pure. A sequence is settled once; what comes a second time is counted as a
//! duplicate. Everything up to the floor is accounted for, so an account stays small.

use serde::{Deserialize, Serialize};

use crate::bus::Seen;

use super::ranges::Ranges;

/// How many ranges of what is gone are remembered, in case one of their events was in hand.
const MAX_GONE: usize = 256;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// The destination has it.
    Delivered,
    /// The destination took its batch and refused it (`partial_success`).
    Rejected,
    /// It is among the dead letters.
    DeadLettered,
    /// The destination does not want it.
    Filtered,
}

/// A ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Which stream the sequences are of: when it was made.
    pub stream: String,
    /// Events stored in streams before this one.
    pub carried: u64,
    /// The last sequence before the first that concerns this destination.
    pub base: u64,
    /// The stream's last sequence when it was last looked at.
    pub last: u64,
    /// Up to here every sequence is accounted for.
    pub floor: u64,
    /// Settled above the floor.
    pub settled: Ranges,
    /// Gone below the floor, most recently.
    pub gone: Ranges,
    /// Events that the destination has.
    pub delivered: u64,
    /// Events rejected by partial success, as far as the count of rejected spans shows.
    pub rejected: u64,
    /// Spans rejected by partial success, exactly.
    pub rejected_spans: u64,
    /// Events that were put among the dead letters.
    pub dead_lettered: u64,
    /// Events that it does not want.
    pub filtered: u64,
    /// Events that the stream dropped before the destination had them: it was full, or they too old.
    pub evicted: u64,
    /// Events given up on purpose, when the destination was removed.
    pub purged: u64,
    /// Deliveries of what had been settled already.
    pub duplicates: u64,
    /// Events whose delivery may have been the second: a process that had them in hand ended, or an attempt
    /// got no response. The destination has at most this many and `duplicates` twice.
    pub doubtful: u64,
    /// Handed back without having been sent: when these come again there is no doubt.
    pub handed_back: Ranges,
    /// Handed back in order, sent or not: these did not crash the process that had them in hand.
    #[serde(skip_serializing_if = "Ranges::is_empty")]
    pub returned: Ranges,
}

impl Account {
    /// Settles an event, of which the destination may have had it before where in doubt; false where it was settled
    /// before.
    pub fn settle(&mut self, sequence: u64, fate: Fate, doubtful: bool) -> bool {
        let handed_back = self.handed_back.remove(sequence);
        self.returned.remove(sequence);
        if self.gone.remove(sequence) {
            // It was in hand when the stream dropped it.
            self.evicted = self.evicted.saturating_sub(1);
        } else if sequence <= self.floor || !self.settled.insert(sequence) {
            self.duplicates += 1;
            return false;
        }
        let sent = matches!(fate, Fate::Delivered | Fate::Rejected);
        self.doubtful += u64::from(sent && doubtful && !handed_back);
        match fate {
            Fate::Delivered => self.delivered += 1,
            Fate::Rejected => self.rejected += 1,
            Fate::DeadLettered => self.dead_lettered += 1,
            Fate::Filtered => self.filtered += 1,
        }
        self.last = self.last.max(sequence);
        self.fold();
        true
    }

    /// An event goes back to the stream, and the destination has not had it.
    pub fn hand_back(&mut self, sequence: u64) {
        if !self.is_settled(sequence) {
            self.handed_back.insert(sequence);
        }
        while self.handed_back.parts() > MAX_GONE {
            self.handed_back.pop_first();
        }
    }

    /// An event goes back to the stream in order, whether the destination has had it or not.
    pub fn give_back(&mut self, sequence: u64) {
        if !self.is_settled(sequence) {
            self.returned.insert(sequence);
        }
        while self.returned.parts() > MAX_GONE {
            self.returned.pop_first();
        }
    }

    /// Whether an event is settled.
    pub fn is_settled(&self, sequence: u64) -> bool {
        (sequence <= self.floor && !self.gone.contains(sequence)) || self.settled.contains(sequence)
    }

    /// Records what JetStream reports: what it has no more, and was not settled, is gone.
    pub fn look(&mut self, seen: &Seen) {
        if self.stream != seen.stream {
            self.start_anew(seen);
        }
        self.last = self.last.max(seen.last);
        // An event is acknowledged only after it is settled here, so below both marks nothing is under way.
        let boundary = seen.first.saturating_sub(1).max(seen.ack_floor).min(self.last);
        while self.floor < boundary {
            let until = self.settled.first().map_or(boundary, |(first, _)| (first - 1).min(boundary));
            if until > self.floor {
                self.evicted = self.evicted.saturating_add(until - self.floor);
                self.gone.push(self.floor + 1, until);
                self.floor = until;
            }
            self.fold();
        }
        while self.gone.parts() > MAX_GONE {
            self.gone.pop_first();
        }
    }

    /// The stream is another one: what the last one still had for us is gone with it.
    fn start_anew(&mut self, seen: &Seen) {
        if !self.stream.is_empty() {
            self.evicted = self.evicted.saturating_add(self.open());
            self.carried = self.stored();
        }
        self.stream.clone_from(&seen.stream);
        self.base = seen.first.saturating_sub(1).max(seen.ack_floor);
        (self.floor, self.last) = (self.base, seen.last.max(self.base));
        (self.settled, self.gone) = (Ranges::default(), Ranges::default());
        (self.handed_back, self.returned) = (Ranges::default(), Ranges::default());
    }

    /// Gives up what is open, on purpose.
    pub fn purge(&mut self) -> u64 {
        let open = self.open();
        self.purged = self.purged.saturating_add(open);
        self.floor = self.last;
        self.settled = Ranges::default();
        open
    }

    /// Events that were stored for this destination.
    pub fn stored(&self) -> u64 {
        self.carried.saturating_add(self.last.saturating_sub(self.base))
    }

    /// Events that nothing has become of yet. Once JetStream was looked at, this is its backlog.
    pub fn open(&self) -> u64 {
        self.last.saturating_sub(self.floor).saturating_sub(self.settled.count())
    }

    fn fold(&mut self) {
        while let Some((first, last)) = self.settled.first() {
            if first > self.floor + 1 {
                return;
            }
            self.settled.pop_first();
            self.floor = self.floor.max(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(first: u64, last: u64, ack_floor: u64) -> Seen {
        Seen { stream: "s".to_owned(), first, last, ack_floor, backlog: 0 }
    }

    fn balanced(account: &Account) {
        let Account { delivered, rejected, dead_lettered, filtered, evicted, purged, .. } = account;
        let sum = delivered + rejected + dead_lettered + filtered + evicted + purged + account.open();
        assert_eq!(account.stored(), sum, "{account:?}");
    }

    #[test]
    fn what_is_settled_out_of_order_adds_up() {
        let mut account = Account::default();
        account.look(&seen(1, 10, 0));
        for (sequence, fate) in
            [(3, Fate::Delivered), (1, Fate::Filtered), (2, Fate::Rejected), (5, Fate::DeadLettered)]
        {
            assert!(account.settle(sequence, fate, false));
            balanced(&account);
        }
        assert_eq!((account.floor, account.open()), (3, 6));
        assert!(!account.settle(3, Fate::Delivered, false) && !account.settle(5, Fate::Delivered, false));
        assert_eq!((account.duplicates, account.delivered), (2, 1));
        assert!(account.is_settled(5) && !account.is_settled(4));
        balanced(&account);
    }

    #[test]
    fn what_may_have_come_twice_is_counted_unless_it_was_handed_back_unsent() {
        let mut account = Account::default();
        account.look(&seen(1, 10, 0));
        account.hand_back(2);
        for sequence in 1..=3 {
            assert!(account.settle(sequence, Fate::Delivered, sequence < 3));
        }
        assert!(account.settle(4, Fate::DeadLettered, true));
        assert_eq!((account.doubtful, account.duplicates, account.handed_back.count()), (1, 0, 0));
        balanced(&account);
    }

    #[test]
    fn what_was_given_back_in_order_is_known_until_it_is_settled() {
        let mut account = Account::default();
        account.look(&seen(1, 1000, 0));
        (1..=3).for_each(|sequence| account.give_back(sequence));
        account.settle(2, Fate::Delivered, true);
        account.give_back(2);
        assert!(
            account.returned.contains(1) && !account.returned.contains(2) && account.returned.contains(3)
        );
        (10..1000).step_by(2).for_each(|sequence| account.give_back(sequence));
        assert!(account.returned.parts() <= MAX_GONE);
        let written = serde_json::to_string(&account).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&written).unwrap(), account);
        account.look(&Seen { stream: "t".to_owned(), ..seen(1, 3, 0) });
        assert!(account.returned.is_empty());
    }

    #[test]
    fn what_the_stream_dropped_is_counted_from_the_gap() {
        let mut account = Account::default();
        account.look(&seen(1, 10, 0));
        account.settle(2, Fate::Delivered, false);
        account.settle(5, Fate::Delivered, false);
        account.look(&seen(7, 20, 0));
        assert_eq!((account.evicted, account.floor), (4, 6));
        account.look(&seen(7, 20, 0));
        assert_eq!(account.evicted, 4);
        balanced(&account);
    }

    #[test]
    fn an_event_that_was_in_hand_when_it_was_dropped_is_not_lost() {
        let mut account = Account::default();
        account.look(&seen(1, 10, 0));
        account.look(&seen(6, 10, 5));
        assert_eq!(account.evicted, 5);
        assert!(!account.is_settled(3));
        assert!(account.settle(3, Fate::Delivered, false));
        assert_eq!((account.evicted, account.delivered), (4, 1));
        assert!(account.is_settled(3) && !account.settle(3, Fate::Delivered, false));
        balanced(&account);
    }

    #[test]
    fn a_destination_begins_where_its_consumer_does() {
        let mut account = Account::default();
        account.look(&seen(101, 150, 120));
        assert_eq!((account.stored(), account.open()), (30, 30));
        balanced(&account);
    }

    #[test]
    fn a_stream_that_is_made_anew_takes_with_it_what_was_open() {
        let mut account = Account::default();
        account.look(&seen(1, 10, 0));
        account.settle(1, Fate::Delivered, false);
        account.look(&Seen { stream: "t".to_owned(), first: 1, last: 3, ack_floor: 0, backlog: 3 });
        assert_eq!((account.evicted, account.stored(), account.open()), (9, 13, 3));
        account.settle(1, Fate::Delivered, false);
        balanced(&account);
    }

    #[test]
    fn what_is_given_up_is_counted_as_purged() {
        let mut account = Account::default();
        account.look(&seen(1, 10, 0));
        account.settle(4, Fate::Delivered, false);
        assert_eq!(account.purge(), 9);
        assert_eq!((account.purged, account.open()), (9, 0));
        balanced(&account);
    }

    #[test]
    fn any_order_of_settling_and_dropping_adds_up() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut account = Account::default();
        let (mut first, mut last) = (1, 0);
        for _ in 0..5000 {
            match rng.u8(0..4) {
                0 => last += rng.u64(0..5),
                1 => first = (first + rng.u64(0..3)).min(last + 1),
                _ if last > 0 => {
                    account.settle(rng.u64(last.saturating_sub(20).max(1)..=last), Fate::Delivered, false);
                }
                _ => {}
            }
            account.look(&seen(first, last, 0));
            balanced(&account);
        }
        assert!(account.delivered > 0 && account.evicted > 0 && account.duplicates > 0);
    }
}
