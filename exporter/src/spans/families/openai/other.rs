//! OpenAI's APIs that are no conversation: completions, embeddings, moderations, images, speech and
//! transcription. What goes in is what a user said, what comes out is what the model said.

use serde_json::Value;

use super::chat::prompt;
use crate::spans::messages::{
    conversation::Conversation,
    part::{Message, Part},
    value::{Object, take, take_items, take_string, take_text},
};

/// Of whichever of these APIs: what is said is in `prompt` or `input`.
pub(in crate::spans) fn request(mut body: Object) -> Conversation {
    let mut input = prompt(take(&mut body, "prompt"));
    input.extend(prompt(take(&mut body, "input")));
    let suffix = take_text(&mut body, "suffix");
    if !suffix.is_empty() {
        input.push(Message::new("user", vec![Part::typed("suffix", Value::String(suffix))]));
    }
    let instructions = take_string(&mut body, "instructions").filter(|said| !said.is_empty());
    let system = instructions.map(Part::text).into_iter().collect();
    Conversation { system, input, ..Conversation::default() }
}

/// `text` of each choice.
pub(in crate::spans) fn completion(mut body: Object) -> Vec<Message> {
    let choices = take_items(&mut body, "choices").into_iter().filter_map(|value| {
        let Value::Object(mut choice) = value else { return None };
        let said = vec![Part::text(take_text(&mut choice, "text"))];
        let finish_reason = Some(take_text(&mut choice, "finish_reason"));
        Some(Message { finish_reason, ..Message::new("assistant", said) })
    });
    choices.collect()
}

/// The verdict on each input.
pub(in crate::spans) fn moderation(mut body: Object) -> Vec<Message> {
    let verdicts = take_items(&mut body, "results").into_iter();
    let parts: Vec<_> = verdicts.map(|verdict| Part::typed("moderation_result", verdict)).collect();
    said(parts)
}

/// The pictures, by URL or by what they were.
pub(in crate::spans) fn images(mut body: Object) -> Vec<Message> {
    let format = take_string(&mut body, "output_format").unwrap_or_else(|| "png".to_owned());
    let mime_type = format!("image/{format}");
    let mut parts = Vec::new();
    for value in take_items(&mut body, "data") {
        let Value::Object(mut image) = value else {
            parts.push(Part::other(value));
            continue;
        };
        if let Some(revised) = take_string(&mut image, "revised_prompt") {
            parts.push(Part::text(revised));
        }
        if let Some(url) = take_string(&mut image, "url") {
            parts.push(Part::at(url, "", "image"));
        } else if let Some(data) = take_string(&mut image, "b64_json") {
            parts.push(Part::data(&data, &mime_type, "image"));
        }
    }
    said(parts)
}

/// The words that were heard.
pub(in crate::spans) fn transcript(mut body: Object) -> Vec<Message> {
    said(take_string(&mut body, "text").map(Part::text).into_iter().collect())
}

fn said(parts: Vec<Part>) -> Vec<Message> {
    if parts.is_empty() {
        return Vec::new();
    }
    vec![Message { finish_reason: Some("stop".to_owned()), ..Message::new("assistant", parts) }]
}
