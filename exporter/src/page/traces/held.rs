//! The latest requests, in bounded memory: so many, and so many bytes. The oldest go first.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::row::Row;

/// What one request takes beside its texts and its event.
const OVERHEAD: usize = 64;

/// A request that is held.
#[derive(Debug)]
pub(in crate::page) struct Request {
    pub(in crate::page) row: Row,
    /// The event as it came.
    pub(in crate::page) event: Bytes,
}

impl Request {
    fn weight(&self) -> usize {
        OVERHEAD + self.row.weight() + self.event.len()
    }
}

/// Which requests are wished for; what is empty holds for all.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(in crate::page) struct Filter {
    /// As requested or as responded.
    pub(in crate::page) model: String,
    /// By its name in gateway.yaml.
    pub(in crate::page) provider: String,
    /// The name of the caller's key.
    pub(in crate::page) key: String,
    /// `ok`, `error`, `429`, `5xx`.
    pub(in crate::page) status: String,
    /// A part of a trace's, an event's, a response's or a conversation's id, a user or a path.
    pub(in crate::page) text: String,
    /// Only those with a higher n.
    pub(in crate::page) after: u64,
    /// Only those with a lower n; 0: all.
    pub(in crate::page) before: u64,
    /// 200 by default, 1000 at most.
    #[param(nullable = false)]
    pub(in crate::page) limit: Option<usize>,
}

impl Filter {
    fn takes(&self, row: &Row) -> bool {
        let is = |wished: &str, value: &str| wished.is_empty() || wished == value;
        row.n > self.after
            && (self.before == 0 || row.n < self.before)
            && (is(&self.model, &row.model) || self.model == row.answered)
            && is(&self.provider, &row.provider)
            && is(&self.key, &row.key)
            && self.takes_status(row)
            && self.takes_text(row)
    }

    fn takes_status(&self, row: &Row) -> bool {
        match self.status.as_str() {
            "" => true,
            "error" => row.failed(),
            "ok" => !row.failed(),
            status => match status.strip_suffix("xx") {
                Some(class) => class.parse() == Ok(row.status / 100),
                None => status.parse() == Ok(row.status),
            },
        }
    }

    fn takes_text(&self, row: &Row) -> bool {
        let text = self.text.trim().to_ascii_lowercase();
        text.is_empty()
            || [&row.trace_id, &row.id, &row.response_id, &row.conversation, &row.user, &row.path]
                .iter()
                .any(|value| value.to_ascii_lowercase().contains(&text))
    }
}

/// A list of requests, the latest first.
#[derive(Debug)]
pub(in crate::page) struct Found {
    pub(in crate::page) requests: Vec<Arc<Request>>,
    /// How many there are with these wishes, shown or not.
    pub(in crate::page) matching: usize,
}

/// How full the buffer is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::page) struct Occupancy {
    pub(in crate::page) held: usize,
    pub(in crate::page) most: usize,
    pub(in crate::page) bytes: usize,
    pub(in crate::page) most_bytes: usize,
}

/// The latest requests.
#[derive(Debug)]
pub(in crate::page) struct Held {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    requests: VecDeque<Arc<Request>>,
}

impl Held {
    /// Holds at most `most` requests of `most_bytes` together.
    pub(in crate::page) fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, bytes: 0, requests: VecDeque::new() }
    }

    /// Changes the room.
    pub(in crate::page) fn resize(&mut self, most: usize, most_bytes: usize) {
        (self.most, self.most_bytes) = (most, most_bytes);
        self.shrink();
    }

    /// Takes one in.
    pub(in crate::page) fn push(&mut self, row: Row, event: &[u8]) {
        if self.most == 0 {
            return;
        }
        // What came from the network is a piece of a larger buffer, which it would keep.
        let request = Request { row, event: Bytes::copy_from_slice(event) };
        self.bytes += request.weight();
        self.requests.push_back(Arc::new(request));
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.requests.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.requests.pop_front() else { return };
            self.bytes -= oldest.weight();
        }
    }

    /// Those that are wished for, the latest first, at most so many.
    pub(in crate::page) fn find(&self, filter: &Filter, most: usize) -> Found {
        let mut found = Found { requests: Vec::new(), matching: 0 };
        for request in self.requests.iter().rev().filter(|request| filter.takes(&request.row)) {
            found.matching += 1;
            if found.requests.len() < most {
                found.requests.push(Arc::clone(request));
            }
        }
        found
    }

    /// The one with this event id.
    pub(in crate::page) fn get(&self, id: &str) -> Option<Arc<Request>> {
        self.requests.iter().rev().find(|request| request.row.id == id).cloned()
    }

    /// Every value of a column, sorted, as far as they are few.
    pub(in crate::page) fn values(&self, column: impl Fn(&Row) -> String, most: usize) -> Vec<String> {
        let mut values = std::collections::BTreeSet::new();
        for request in self.requests.iter().rev() {
            let value = column(&request.row);
            if !value.is_empty() {
                values.insert(value);
            }
            if values.len() >= most {
                break;
            }
        }
        values.into_iter().collect()
    }

    /// How much is held.
    pub(in crate::page) fn room(&self) -> Occupancy {
        Occupancy {
            held: self.requests.len(),
            most: self.most,
            bytes: self.bytes,
            most_bytes: self.most_bytes,
        }
    }

    /// The last one's number.
    pub(in crate::page) fn last(&self) -> u64 {
        self.requests.back().map_or(0, |request| request.row.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        page::traces::row::of,
        spans::fixture::{rejected, streamed},
    };

    fn numbers(held: &Held, filter: &Filter) -> Vec<u64> {
        held.find(filter, 100).requests.iter().map(|request| request.row.n).collect()
    }

    #[test]
    fn the_oldest_go_by_count_and_by_bytes_and_nothing_is_held_where_nothing_may_be() {
        let mut held = Held::new(3, 1 << 20);
        (1..=5).for_each(|n| held.push(of(&streamed(), n), &[0; 100]));
        assert_eq!(numbers(&held, &Filter::default()), [5, 4, 3]);
        let alone = (1 << 20) - OVERHEAD - of(&streamed(), 6).weight();
        held.push(of(&streamed(), 6), &vec![0; alone]);
        assert_eq!(numbers(&held, &Filter::default()), [6]);
        assert!(held.room().bytes <= 1 << 20);
        held.push(of(&streamed(), 7), &vec![0; 2 << 20]);
        assert_eq!((held.room().held, held.room().bytes), (0, 0));
        let mut off = Held::new(0, 1 << 20);
        off.push(of(&streamed(), 1), &[]);
        assert_eq!(off.room().held, 0);
    }

    #[test]
    fn a_filter_goes_by_model_status_key_and_parts_of_ids() {
        let mut held = Held::new(10, 1 << 20);
        held.push(of(&streamed(), 1), &[]);
        let mut other = streamed();
        other.request.as_mut().unwrap().model = "other".to_owned();
        other.caller = Some(weir_event::v1::Caller { key_name: "team-a".to_owned(), ..Default::default() });
        held.push(of(&other, 2), &[]);
        held.push(of(&rejected(), 3), &[]);
        let with = |change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            numbers(&held, &filter)
        };
        assert_eq!(with(&|filter| filter.model = "other".into()), [2]);
        assert_eq!(with(&|filter| filter.model = "gpt-4o-2024-08-06".into()).last(), Some(&1));
        assert_eq!(with(&|filter| filter.key = "team-a".into()), [2]);
        assert_eq!(with(&|filter| filter.status = "error".into()), [3]);
        assert_eq!(with(&|filter| filter.status = "2xx".into()), [2, 1]);
        assert_eq!(with(&|filter| filter.status = "404".into()), [3]);
        assert_eq!(with(&|filter| filter.text = "0A0B0C".into()), [3, 2, 1]);
        assert_eq!(with(&|filter| filter.text = "no such".into()), [] as [u64; 0]);
        assert_eq!(with(&|filter| filter.after = 2), [3]);
        assert_eq!(with(&|filter| filter.before = 2), [1]);
        assert_eq!(held.find(&Filter::default(), 1).matching, 3);
    }
}
