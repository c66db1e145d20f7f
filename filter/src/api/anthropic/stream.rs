//! The events of Anthropic's streams, rewritten.

use serde_json::Value as Json;

use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Ends, Finder, Text};
use crate::json::scan::Object;
use crate::json::values::number;
use crate::redact::Channel;

pub(crate) fn write_text(text: &Text, more: &Continuation<'_>) -> String {
    let (Text { group, open, close, .. }, json) = (text, more.json);
    format!("{{\"type\":\"content_block_delta\",\"index\":{group},\"delta\":{{{open}{json}{close}}}}}")
}

/// Anthropic Messages API, "Streaming messages".
pub(crate) fn find_texts(object: &Object<'_>, finder: &mut Finder<'_>) {
    let index = number(object, "index").unwrap_or(0);
    let event = Some("content_block_delta");
    match object.text("type").as_ref() {
        "content_block_start" => {
            let block = object.get("content_block").and_then(|block| block.as_object());
            for (key, open) in [
                ("text", "\"type\":\"text_delta\",\"text\":"),
                ("thinking", "\"type\":\"thinking_delta\",\"thinking\":"),
            ] {
                if let Some(said) = block.as_ref().and_then(|block| block.get(key)) {
                    finder.named(event, index, open.to_owned(), "", Channel::Text, &said);
                }
            }
        }
        "content_block_delta" => {
            let delta = object.get("delta").and_then(|delta| delta.as_object()).unwrap_or_default();
            let kind = delta.get("type").map_or("\"text_delta\"", |kind| kind.raw);
            for (key, value) in delta.iter().filter(|(key, _)| !matches!(*key, "type" | "signature")) {
                let open = format!("\"type\":{kind},{}:", Json::from(key));
                let channel = if key == "partial_json" { Channel::Json } else { Channel::Text };
                finder.named(event, index, open, "", channel, &value);
            }
        }
        "content_block_stop" => finder.found.ends.add(index),
        "message_delta" | "message_stop" | "error" => finder.found.ends = Ends::All,
        _ => {}
    }
}
