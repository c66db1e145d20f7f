//! A multipart form: it goes on with another model and not another byte changed, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::request::multipart::{Form, PARTS_MAX};

const MODEL: &str = "another-model";

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (content_type, body) = data.split_at(end);
    let Ok(form) = Form::parse(content_type, body) else { return };
    assert!(form.files().len() <= PARTS_MAX);
    let Some(edits) = form.model_edits(MODEL, true) else { return };
    let sent = edits.rewrite(body).expect("the whole body is here");
    assert_eq!(sent.len(), edits.length(body.len()));
    let again = Form::parse(content_type, &sent).expect("a form becomes a form");
    assert_eq!(again.text("model"), Some(MODEL));
    assert_eq!(again.files(), form.files());
    for field in ["stream", "language", "prompt", "size", "n"] {
        assert_eq!(again.text(field), form.text(field), "{field}");
    }
});
