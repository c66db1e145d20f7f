//! The texts of a stream in one of its events: where they stand, and which of them end with it.
//!
//! A text is known by its group (the choice, block, item or candidate that it belongs to) and by how
//! its member is written; written so again, with what was held back, it makes an event of its own.
//! Strings that no text is made of are none of these: they are searched whole.

use std::collections::HashSet;
use std::ops::Range;

use crate::json::scan::{Kind, Object, Value};
use crate::redact::Channel;

/// The group of what belongs to none.
pub(crate) const NO_GROUP: u64 = u64::MAX;
/// Longest member of an event that is repeated in one with what was held back, in bytes.
const REPEATED_MAX: usize = 256;

/// Which text of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    /// What it belongs to.
    pub group: u64,
    /// How its member is written, up to its value.
    pub(crate) open: String,
    /// And behind it.
    pub(crate) close: &'static str,
    /// The name of its events, where the API names them.
    pub event: Option<String>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which text.
    pub text: Text,
    /// What the text is.
    pub kind: Channel,
    /// Where the string stands, quotes included.
    pub range: Range<usize>,
}

/// What an event holds of the texts of its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// In the order in which they stand.
    pub pieces: Vec<Piece>,
    /// Strings that are neither texts nor searched, such as sound.
    pub untouched: Vec<Range<usize>>,
    /// What ends with this event.
    pub ends: Ends,
    /// The event's number, where it has one.
    pub sequence: Option<u64>,
}

/// Which texts end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Those of these groups, of which an event may end as many as it has bytes for.
    Groups(HashSet<u64>),
    /// All.
    All,
}

impl Default for Ends {
    fn default() -> Self {
        Self::Groups(HashSet::new())
    }
}

impl Ends {
    /// Whether the texts of a group are among them.
    pub fn has(&self, group: u64) -> bool {
        match self {
            Self::All => true,
            Self::Groups(groups) => groups.contains(&group),
        }
    }

    /// Adds the texts of a group.
    pub(crate) fn add(&mut self, group: u64) {
        if let Self::Groups(groups) = self {
            groups.insert(group);
        }
    }
}

/// Finds the texts in an event, and which of them end with it.
#[derive(Debug)]
pub struct Finder<'e> {
    event: &'e str,
    pub(crate) found: Pieces,
}

impl<'e> Finder<'e> {
    /// Begins with the data of an event, whose members are those of `object`.
    pub fn new(event: &'e str, object: &Object<'_>) -> Self {
        let mut finder = Self { event, found: Pieces::default() };
        if object.get("error").is_some_and(|error| error.kind != Kind::Null) {
            finder.found.ends = Ends::All;
        }
        finder
    }

    /// What was found, in the order in which it stands.
    pub fn finish(mut self) -> Pieces {
        self.found.pieces.sort_by_key(|piece| piece.range.start);
        self.found
    }

    /// Notes a string that is no text and is not searched either.
    pub(crate) fn leave(&mut self, value: &Value<'_>) {
        let range = self.range(value);
        self.found.untouched.push(range);
    }

    /// Where a value stands in the event that it is a part of.
    fn range(&self, value: &Value<'_>) -> Range<usize> {
        let start = (value.raw.as_ptr() as usize).saturating_sub(self.event.as_ptr() as usize);
        start..start + value.raw.len()
    }

    /// Notes a piece of a text, in an event without a name.
    pub(crate) fn piece(
        &mut self,
        group: u64,
        open: String,
        close: &'static str,
        kind: Channel,
        value: &Value<'_>,
    ) {
        self.named(None, group, open, close, kind, value);
    }

    /// Notes a piece of a text, in an event of this name.
    pub(crate) fn named(
        &mut self,
        event: Option<&str>,
        group: u64,
        open: String,
        close: &'static str,
        kind: Channel,
        value: &Value<'_>,
    ) {
        if value.kind == Kind::String {
            let (range, event) = (self.range(value), event.map(str::to_owned));
            let text = Text { group, open, close, event };
            self.found.pieces.push(Piece { text, kind, range });
        }
    }
}

/// Members as they are written, with commas between.
pub(crate) fn copied(object: &Object<'_>, keys: &[&str]) -> String {
    let members = keys.iter().filter_map(|key| {
        let value = object.get(key)?;
        let is_short = !matches!(value.kind, Kind::Object | Kind::Array) && value.raw.len() <= REPEATED_MAX;
        is_short.then(|| format!("\"{key}\":{}", value.raw))
    });
    members.collect::<Vec<_>>().join(",")
}

/// A comma behind members, unless there are none.
pub(crate) fn comma(members: &str) -> &'static str {
    if members.is_empty() { "" } else { "," }
}
