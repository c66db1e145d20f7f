//! OpenAI's legacy completions, whose choices are texts, and what is compatible with them (OpenAI API reference,
//! "Completions"). All else is as in chat completions.

use crate::api::family::operation::Dialect;
use crate::api::family::reading::notes::Notes;
use crate::api::openai::chat;
use crate::capture::transcript::Channel;
use crate::json::scan::Object;
use crate::json::values::says_something;

/// How legacy completions are written.
pub(crate) const DIALECT: Dialect = Dialect {
    read: |object, notes| {
        chat::read(object, false, notes, read_choice);
    },
    read_event: |object, notes| chat::read(object, true, notes, read_choice),
    ..chat::DIALECT
};

/// Reads the text of a choice, or what a chat has in its place, and never both.
fn read_choice(index: u64, choice: &Object<'_>, is_event: bool, notes: &mut Notes<'_>) -> bool {
    match choice.get("text").filter(says_something) {
        Some(text) => notes.transcript.text(index, Channel::Text, &text),
        None => chat::read_choice(index, choice, is_event, notes),
    }
}
