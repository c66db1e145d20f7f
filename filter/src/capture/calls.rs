//! Which call of a tool a piece of a response belongs to.
//!
//! Calls are told apart by their ids, then by the index that the server gives them, then by their place in a list.
//! Servers repeat an index for parallel calls, or leave it out, and some give no ids either: then a name behind
//! arguments that are complete begins another call.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Where a server says that a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// By an index of the server's.
    Index(u64),
    /// By its place in the list that it came in, where it has no index.
    Place(u64),
}

/// When a piece begins a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// Always: calls come whole.
    Always,
    /// Unless a call with its id has begun.
    UnlessKnown,
    /// Where it goes on with none that has begun.
    IfNew,
}

/// What is known of a call from one piece of it. A text that is empty is not known.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'p> {
    /// The call's id.
    pub id: &'p str,
    /// The id of the item that the call is, where that is another.
    pub item: &'p str,
    /// The tool's name.
    pub name: &'p str,
    /// Where the call stands.
    pub slot: Slot,
    /// Whether the piece brings arguments.
    pub has_arguments: bool,
    /// When it begins a call.
    pub begins: Begins,
}

/// The calls of one choice that have begun, in their order.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Known>);

/// What tells a call that has begun from others; a hash is 0 where nothing is known.
#[derive(Debug)]
struct Known {
    id: u64,
    item: u64,
    name: u64,
    slot: Slot,
    arguments: Nesting,
}

impl Calls {
    /// The place of the call that a piece goes on with; `None` where it begins one.
    pub(crate) fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        if piece.begins == Begins::Always {
            return None;
        }
        let (id, item) = (hash(piece.id), hash(piece.item));
        let is_same = |known: &Known| {
            (id != 0 && known.id == id && known.slot.allows(piece.slot)) || (item != 0 && known.item == item)
        };
        if let Some(same) = self.0.iter().rposition(is_same) {
            return Some(same);
        }
        if piece.begins == Begins::UnlessKnown {
            return None;
        }
        let at = self.last_at(piece.slot);
        // Nothing but arguments goes on with the last call, whatever its place.
        let is_rest = piece.id.is_empty() && piece.name.is_empty() && matches!(piece.slot, Slot::Place(_));
        let at = at.or_else(|| is_rest.then(|| self.0.len().checked_sub(1)).flatten())?;
        self.0.get(at).filter(|known| known.goes_on_with(piece)).map(|_| at)
    }

    /// The place of the last call that stands there.
    pub(crate) fn last_at(&self, slot: Slot) -> Option<usize> {
        self.0.iter().rposition(|known| known.slot == slot)
    }

    /// Begins a call.
    pub(crate) fn begin(&mut self, piece: &Piece<'_>) {
        let slot = piece.slot;
        self.0.push(Known { id: 0, item: 0, name: 0, slot, arguments: Nesting::default() });
    }

    /// Notes what a piece says of the call at this place.
    pub(crate) fn note(&mut self, at: usize, piece: &Piece<'_>) {
        let Some(known) = self.0.get_mut(at) else { return };
        for (of_call, of_piece) in
            [(&mut known.id, piece.id), (&mut known.item, piece.item), (&mut known.name, piece.name)]
        {
            if !of_piece.is_empty() {
                *of_call = hash(of_piece);
            }
        }
    }

    /// Whether the arguments of the call at this place are complete.
    pub(crate) fn is_complete(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|known| known.arguments.is_closed())
    }

    /// Notes a piece of the arguments of the call at this place.
    pub(crate) fn argue(&mut self, at: usize, arguments: &str) {
        if let Some(known) = self.0.get_mut(at) {
            known.arguments.feed(arguments);
        }
    }
}

impl Known {
    /// Whether a piece that names no call that is known can be of this one, whose slot it has.
    fn goes_on_with(&self, piece: &Piece<'_>) -> bool {
        if !piece.id.is_empty() && self.id != 0 {
            return false;
        }
        // Where calls have ids, a name without one before any arguments is the rest of a name.
        let is_rest_of_name = self.id != 0 && !self.arguments.has_begun && !piece.has_arguments;
        if is_rest_of_name && matches!(piece.slot, Slot::Index(_)) {
            return true;
        }
        let is_other = self.name != 0 && self.name != hash(piece.name);
        let is_next = self.arguments.is_closed() && piece.has_arguments;
        piece.name.is_empty() || !(is_other || is_next)
    }
}

impl Slot {
    /// Whether a piece that stands there can be of a call that stands here.
    fn allows(self, other: Self) -> bool {
        match (self, other) {
            (Self::Index(one), Self::Index(other)) => one == other,
            _ => true,
        }
    }
}

/// How far JSON has come that is written piece by piece: whether its outermost bracket is closed.
#[derive(Debug, Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl Nesting {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    self.has_begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }
}

/// A hash of a text, and 0 for an empty one.
fn hash(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_closed_with_their_outermost_bracket_however_they_are_cut() {
        let text = r#"{"a": "}\"}", "b": [{"c": "\\"}]}"#;
        let mut nesting = Nesting::default();
        for (at, character) in text.char_indices() {
            nesting.feed(&character.to_string());
            assert_eq!(nesting.is_closed(), at + 1 == text.len(), "{at}");
        }
        let mut none = Nesting::default();
        none.feed("");
        assert!(!none.is_closed());
    }
}
