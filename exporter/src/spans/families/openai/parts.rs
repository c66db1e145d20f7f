//! Parts of a message's content as OpenAI writes them. Both of its chat APIs have their own words for the
//! same parts, and Mistral and others took them over.

use serde_json::Value;

use crate::spans::messages::{
    part::{DOCUMENT, Part},
    value::{Object, items, take_first, take_object, take_string, take_text, text},
};

/// A content: a text, a list of parts, or nothing.
pub(in crate::spans) fn content(value: Value) -> Vec<Part> {
    items(value).into_iter().filter_map(part).collect()
}

fn part(value: Value) -> Option<Part> {
    let mut object = match value {
        Value::Null => return None,
        Value::String(text) => return Some(Part::text(text)),
        Value::Object(object) => object,
        other => return Some(Part::other(other)),
    };
    let known = known(&mut object);
    Some(known.unwrap_or_else(|| Part::other(Value::Object(object))))
}

fn known(object: &mut Object) -> Option<Part> {
    let kind = object.get("type").and_then(Value::as_str)?;
    match kind {
        "text" | "input_text" | "output_text" | "summary_text" => take_string(object, "text").map(Part::text),
        "refusal" => take_string(object, "refusal").map(Part::refusal),
        "thinking" => {
            let thought = take_first(object, &["thinking"]);
            Some(Part::Reasoning { content: joined(thought) })
        }
        "reasoning_text" => take_string(object, "text").map(|content| Part::Reasoning { content }),
        "image_url" | "input_image" => media(object, "image_url", "image"),
        "audio_url" => media(object, "audio_url", "audio"),
        "video_url" => media(object, "video_url", "video"),
        "input_audio" => {
            let mut audio = take_object(object, "input_audio")?;
            let mime_type =
                format!("audio/{}", take_string(&mut audio, "format").unwrap_or_else(|| "wav".to_owned()));
            Some(Part::data(&take_text(&mut audio, "data"), &mime_type, "audio"))
        }
        "file" => {
            let mut inner = take_object(object, "file")?;
            Some(file(&mut inner).unwrap_or_else(|| Part::typed("file", Value::Object(inner))))
        }
        "input_file" => file(object),
        _ => None,
    }
}

/// A URL, alone or in an object of its own, or the id of a file.
fn media(object: &mut Object, key: &str, modality: &'static str) -> Option<Part> {
    if let Some(file_id) = take_string(object, "file_id") {
        return Some(Part::file(file_id, String::new(), modality));
    }
    let url = match object.get_mut(key)? {
        Value::Object(inner) => take_string(inner, "url")?,
        _ => take_string(object, key)?,
    };
    Some(Part::at(url, "", modality))
}

fn file(object: &mut Object) -> Option<Part> {
    if let Some(file_id) = take_string(object, "file_id") {
        return Some(Part::file(file_id, String::new(), DOCUMENT));
    }
    if let Some(url) = take_string(object, "file_url") {
        return Some(Part::at(url, "", DOCUMENT));
    }
    take_string(object, "file_data").map(|data| Part::data(&data, "", DOCUMENT))
}

/// A text, or the texts of a list of parts, put together; what was encrypted has none.
pub(in crate::spans) fn joined(value: Value) -> String {
    let texts = items(value).into_iter().map(|item| match item {
        Value::Object(mut object) => {
            text(take_first(&mut object, &["text", "thinking", "summary", "content"]))
        }
        other => text(other),
    });
    texts.collect()
}
