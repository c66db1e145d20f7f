//! The accounts that are written as one value, and the total of those that were closed.
//!
//! A worker that is closed goes into the total within the same value, so no crash counts it twice or not at all.
//! Pure: what time it is comes in.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_event::SOURCE_LEN;

use super::record::{Figures, News, Record};

/// Seconds without a report after which a worker's account is closed: a week.
const MAX_SILENCE: u64 = 7 * 24 * 3600;

/// Closed workers that are remembered by name, so that one that comes back is not counted from its beginning.
const MAX_CLOSED: usize = 64;

/// A worker's name: 16 bytes, in hex where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name(pub(super) [u8; SOURCE_LEN]);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| text.len() == 2 * SOURCE_LEN);
        let number = number.ok_or_else(|| serde::de::Error::custom("a source's name is 32 hex digits"))?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// A part of all accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shard {
    /// The open ones.
    pub(super) sources: BTreeMap<Name, Record>,
    /// How many were closed.
    pub(super) closed: u64,
    /// What they had.
    gone: Figures,
    /// The last of them, in the order in which they were closed.
    left: VecDeque<Name>,
}

impl Shard {
    /// Enters news, which may have been entered before, and closes accounts: the silent ones, and those unheard of
    /// for longest where there are more than `most`.
    pub(super) fn take(&mut self, news: &BTreeMap<Name, News>, now: u64, most: usize) {
        for (name, news) in news {
            let closed = self.left.iter().position(|left| left == name);
            let record =
                self.sources.entry(*name).or_insert_with(|| match closed.map(|at| self.left.remove(at)) {
                    Some(_) => Record::reopened(news),
                    None => Record::default(),
                });
            record.take(news);
        }
        let silent = |record: &Record| record.heard.saturating_add(MAX_SILENCE) < now;
        let silent: Vec<_> =
            self.sources.iter().filter(|(_, record)| silent(record)).map(|(name, _)| *name).collect();
        silent.into_iter().for_each(|name| self.close(name));
        self.make_room(most);
    }

    /// Closes those unheard of for longest until there are at most so many.
    pub(super) fn make_room(&mut self, most: usize) {
        let over = self.sources.len().saturating_sub(most);
        if over == 0 {
            return;
        }
        let mut by_age: Vec<_> = self.sources.iter().map(|(name, record)| (record.heard, *name)).collect();
        by_age.sort_unstable();
        by_age.into_iter().take(over).for_each(|(_, name)| self.close(name));
    }

    /// The sums over all workers, open and closed.
    pub(super) fn sums(&self) -> Figures {
        let mut sums = self.gone;
        self.sources.values().for_each(|record| sums.add(&record.figures()));
        sums
    }

    fn close(&mut self, name: Name) {
        let Some(record) = self.sources.remove(&name) else { return };
        self.gone.add(&record.figures());
        self.closed = self.closed.saturating_add(1);
        self.left.push_back(name);
        while self.left.len() > MAX_CLOSED {
            self.left.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_event::v1::Totals;

    use super::*;

    fn news(source: u8, now: u64, stored: &[u64], totals: Totals) -> BTreeMap<Name, News> {
        let mut news = News::default();
        news.enter(now, stored, &[], Some(&totals));
        [(Name([source; 16]), news)].into()
    }

    #[test]
    fn only_so_many_are_open_and_the_sums_stay() {
        let mut shard = Shard::default();
        for source in 0..10 {
            shard.take(&news(source, u64::from(source), &[2], Totals::default()), 10, 2);
        }
        assert_eq!((shard.sources.len(), shard.closed), (2, 8));
        assert_eq!((shard.sums().stored, shard.sums().missing), (10, 10));
    }

    #[test]
    fn a_source_that_is_silent_is_closed_and_one_that_comes_back_is_not_counted_from_its_beginning() {
        let mut shard = Shard::default();
        let totals = |created, accepted| Totals {
            created,
            accepted,
            pending: created - accepted,
            ..Totals::default()
        };
        shard.take(&news(1, 100, &[1, 2, 3], totals(3, 0)), 100, 8);
        shard.take(&BTreeMap::new(), 100 + MAX_SILENCE, 8);
        assert_eq!(shard.closed, 0);
        shard.take(&BTreeMap::new(), 101 + MAX_SILENCE, 8);
        assert_eq!((shard.closed, shard.sources.len(), shard.sums().stored), (1, 0, 3));

        let later = 200 + MAX_SILENCE;
        let back = news(1, later, &[4, 5], totals(5, 3));
        shard.take(&back, later, 8);
        shard.take(&back, later, 8);
        let sums = shard.sums();
        assert_eq!((sums.stored, sums.created, sums.missing, sums.unsent), (5, 5, 0, 0));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut shard = Shard::default();
        for source in 0..5 {
            shard.take(&news(source, 9, &[1, 4], Totals { created: 9, ..Totals::default() }), 9, 3);
        }
        let written = serde_json::to_string(&shard).unwrap();
        assert!(written.contains("\"04040404040404040404040404040404\":{\"heard\":9,"), "{written}");
        assert_eq!(serde_json::from_str::<Shard>(&written).unwrap(), shard);
    }
}
