//! Redaction of text: no planted address remains, replacements do not match again, and a text in pieces becomes
//! the same as the whole.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weir_filter::redact::{Channel, Counts, HELD_MAX, HashKey, Replacement, StreamRedactor};
use weir_fuzz::{CANARY, DETECTORS, controls, plant, redacted, text_pieces};

fuzz_target!(|data: &[u8]| {
    let ([seed], text) = controls(data);
    let text = String::from_utf8_lossy(&plant(text)).into_owned();
    let replacements = [Replacement::Label, Replacement::Mask, Replacement::Hash(HashKey::new(b"key", 8))];
    let replacement = &replacements[usize::from(seed) % replacements.len()];
    let once = redacted(replacement, text.clone(), |text, replace| {
        let mut counts = Counts::default();
        (DETECTORS.redact(DETECTORS.all(), text, replace, &mut counts).into_owned(), counts)
    });
    assert!(!once.contains(CANARY), "{once}");
    let cut = text_pieces(&text, seed);
    let mut redactor =
        StreamRedactor::new(Arc::clone(&DETECTORS), DETECTORS.all(), replacement.clone(), Channel::Text);
    let mut streamed = String::new();
    for piece in &cut {
        streamed += &redactor.feed(piece);
        assert!(redactor.held() <= 2 * HELD_MAX + piece.len());
    }
    streamed += &redactor.finish();
    if text.len() < HELD_MAX {
        assert_eq!(streamed, once);
    } else {
        assert!(!streamed.contains(CANARY));
    }
});
