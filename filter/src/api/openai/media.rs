//! OpenAI's images, speech and transcription: the forms of their requests, and the typed events of their streams
//! (OpenAI API reference, "Audio", "Images").

use weir_event::v1;

use crate::api::family::parameters::is_word;
use crate::json::scan::Object;
use crate::json::values::says_something;

/// Where the events that bring something hold it.
const BROUGHT: [&str; 7] = ["delta", "audio", "b64_json", "partial_image_b64", "url", "text", "code"];

/// The parameters of a form (OpenAI API reference, "Audio" and "Images").
pub(crate) fn form_parameters<'f>(text: &dyn Fn(&'static str) -> Option<&'f str>) -> v1::Parameters {
    let word = |name| text(name).filter(|word| is_word(word)).map(str::to_owned);
    v1::Parameters {
        temperature: text("temperature")
            .and_then(|text| text.parse().ok())
            .filter(|number: &f64| number.is_finite()),
        choice_count: text("n").and_then(|text| text.parse().ok()),
        output_format: word("output_format").or_else(|| word("response_format")).unwrap_or_default(),
        ..Default::default()
    }
}

/// What a delta or a picture holds has several names: any text of it counts but the event's own type.
pub(crate) fn brings_something(kind: &str, object: &Object<'_>) -> bool {
    const BRINGING: [&str; 4] = [".delta", ".partial_image", "_generation.completed", "_edit.completed"];
    BRINGING.iter().any(|end| kind.ends_with(end))
        && BROUGHT.iter().any(|key| object.get(key).is_some_and(|value| says_something(&value)))
}
