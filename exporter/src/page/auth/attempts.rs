//! Wrong tokens, counted by who sends them: how the guesser is made to wait, and not the office behind its address.
//!
//! An attempt that carries the cookie of an earlier login is counted by that device alone. All others are counted by
//! their address, and together. Memory and the work of an attempt are constant, however many addresses there are: two
//! rows of counters, in each of which a sender has one by a hash that nobody outside knows, and it waits only where
//! both say so.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use crate::http::server::Peer;

/// Wrong tokens of one sender within [`WAIT`], after which it has to wait.
pub(super) const MAX_WRONG: u32 = 5;

/// Wrong tokens of all senders without a device within [`WAIT`]: a guesser with many addresses has no more.
pub(super) const MAX_WRONG_IN_ALL: u32 = 300;

/// How long wrong tokens count, from the first on.
pub(super) const WAIT: Duration = Duration::from_secs(60);

/// Counters of a row.
const COUNTERS: usize = 4096;

/// Bytes that distinguish a device.
pub(super) const DEVICE_LEN: usize = 16;

/// Who sends a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    /// A device that logged in before.
    Device([u8; DEVICE_LEN]),
    /// Anybody at this address; of IPv6, in the network that one customer has.
    Address(IpAddr),
}

impl Sender {
    /// Whoever is at the other end of a connection.
    pub(super) fn at(peer: Peer) -> Self {
        Self::Address(match peer.0 {
            Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            Some(address) => address.to_canonical(),
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
    }
}

/// Wrong tokens since a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    wrong: u32,
    since: Option<Instant>,
}

impl Counter {
    /// How much longer it has to be waited, where there were `most`.
    fn left(self, most: u32, now: Instant) -> Option<Duration> {
        let left = WAIT.checked_sub(now.saturating_duration_since(self.since?))?;
        (self.wrong >= most && !left.is_zero()).then_some(left)
    }

    fn add(&mut self, now: Instant) {
        let counts = self.since.is_some_and(|since| now.saturating_duration_since(since) < WAIT);
        if !counts {
            *self = Self { wrong: 0, since: Some(now) };
        }
        self.wrong = self.wrong.saturating_add(1);
    }
}

/// What is counted.
#[derive(Debug)]
pub(super) struct Attempts {
    rows: [(RandomState, Vec<Counter>); 2],
    all: Counter,
}

impl Default for Attempts {
    fn default() -> Self {
        let row = || (RandomState::new(), vec![Counter::default(); COUNTERS]);
        Self { rows: [row(), row()], all: Counter::default() }
    }
}

impl Attempts {
    /// How much longer a sender has to wait before a token of its is compared; `None` where it has not to.
    pub(super) fn left(&self, sender: Sender, now: Instant) -> Option<Duration> {
        let own = |(hash, counters): &(RandomState, Vec<Counter>)| {
            counters.get(place(hash, sender)).and_then(|counter| counter.left(MAX_WRONG, now))
        };
        let [one, other] = self.rows.each_ref().map(own);
        let together = match sender {
            Sender::Device(_) => None,
            Sender::Address(_) => self.all.left(MAX_WRONG_IN_ALL, now),
        };
        one.zip(other).map(|(one, other)| one.min(other)).max(together)
    }

    /// Counts a wrong token.
    pub(super) fn wrong(&mut self, sender: Sender, now: Instant) {
        for (hash, counters) in &mut self.rows {
            if let Some(counter) = counters.get_mut(place(hash, sender)) {
                counter.add(now);
            }
        }
        if matches!(sender, Sender::Address(_)) {
            self.all.add(now);
        }
    }
}

fn place(hash: &RandomState, sender: Sender) -> usize {
    usize::try_from(hash.hash_one(sender) % COUNTERS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Sender {
        Sender::at(Peer(Some(address.parse().unwrap())))
    }

    #[test]
    fn a_sender_waits_after_five_and_another_does_not() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let (guesser, device) = (from("192.0.2.1"), Sender::Device([7; DEVICE_LEN]));
        for _ in 0..MAX_WRONG {
            assert_eq!(attempts.left(guesser, start), None);
            attempts.wrong(guesser, start);
        }
        assert_eq!(
            attempts.left(guesser, start + Duration::from_secs(1)),
            Some(WAIT - Duration::from_secs(1))
        );
        // By chance one in 16 million shares both counters.
        assert!(attempts.left(from("192.0.2.2"), start).is_none() && attempts.left(device, start).is_none());
        assert_eq!(attempts.left(guesser, start + WAIT), None);
        attempts.wrong(guesser, start + WAIT);
        assert_eq!(attempts.left(guesser, start + WAIT), None);
    }

    #[test]
    fn many_addresses_have_no_more_than_a_few_hundred_and_a_known_device_is_not_held_up_by_them() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let mut compared = 0;
        for number in 0..100_000_u32 {
            let sender = Sender::at(Peer(Some(IpAddr::from(number.to_be_bytes()))));
            if attempts.left(sender, now).is_none() {
                attempts.wrong(sender, now);
                compared += 1;
            }
        }
        assert_eq!(compared, MAX_WRONG_IN_ALL);
        assert!(attempts.left(from("198.51.100.1"), now).is_some());
        assert!(attempts.left(Sender::Device([7; DEVICE_LEN]), now).is_none());
        assert_eq!(attempts.rows.iter().map(|(_, row)| row.len()).sum::<usize>(), 2 * COUNTERS);
    }

    #[test]
    fn a_device_has_no_more_attempts_than_an_address() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let device = Sender::Device([7; DEVICE_LEN]);
        (0..MAX_WRONG).for_each(|_| attempts.wrong(device, now));
        assert!(attempts.left(device, now).is_some());
    }

    #[test]
    fn of_ipv6_the_network_counts_and_a_mapped_address_is_the_ipv4_one() {
        assert_eq!(from("2001:db8::1"), from("2001:db8::2"));
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
    }
}
