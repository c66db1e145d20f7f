//! presidio-research: generated sentences with labelled spans.

use std::path::Path;

use crate::{Engine, Table};

/// Files of samples.
const FILES: [&str; 2] = ["data/synth_dataset_v2.json", "tests/data/generated_large.json"];
/// Labels, and the rows that count them.
const LABELS: [(&str, &str); 7] = [
    ("CREDIT_CARD", "credit_card"),
    ("PHONE_NUMBER", "phone"),
    ("EMAIL_ADDRESS", "email"),
    ("IBAN_CODE", "iban"),
    ("US_SSN", "ssn"),
    ("IP_ADDRESS", "ip"),
    ("US_DRIVER_LICENSE", "driving_licence"),
];
/// Words beside which a number is one of a telephone, on either side.
const WORDS: [&str; 9] = ["phone", "mobile", "desk", "fax", "office", "tel", "call", "cell", "number"];
/// How far from a number its word may stand, in bytes.
const NEAR: usize = 14;

pub(crate) fn measure(engine: &Engine, folder: &Path, table: &mut Table) {
    for (_, row) in LABELS {
        table.judged(row);
    }
    for file in FILES {
        let bytes = std::fs::read(folder.join(file)).expect(file);
        let samples: serde_json::Value = serde_json::from_slice(&bytes).expect(file);
        for sample in samples.as_array().expect(file) {
            one(engine, sample, table);
        }
    }
}

/// A labelled span, in bytes.
struct Span {
    start: usize,
    end: usize,
    row: Option<&'static str>,
}

fn one(engine: &Engine, sample: &serde_json::Value, table: &mut Table) {
    let text = sample.get("full_text").and_then(|text| text.as_str()).unwrap_or_default();
    // Offsets are in characters.
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let spans = sample.get("spans").and_then(|spans| spans.as_array()).into_iter().flatten();
    let spans: Vec<Span> = spans
        .filter_map(|span| {
            let at = |name: &str| offsets.get(span.get(name)?.as_u64()? as usize).copied();
            let label = span.get("entity_type")?.as_str()?;
            let row = LABELS.iter().find(|(known, _)| *known == label).map(|(_, row)| *row);
            Some(Span { start: at("start_position")?, end: at("end_position")?, row })
        })
        .collect();
    let (_, matches) = engine.redact(text);
    for span in &spans {
        let Some(row) = span.row else { continue };
        // Every digit and letter of a value must be gone.
        let value = text.get(span.start..span.end).unwrap_or_default();
        let is_gone =
            |at: usize| matches.iter().any(|(_, found, start)| (*start..start + found.len()).contains(&at));
        let found = value
            .char_indices()
            .filter(|(_, c)| c.is_alphanumeric())
            .all(|(offset, _)| is_gone(span.start + offset));
        let note = || format!("{value:?} in {text:?}");
        table.count(row, found, note);
        if row == "phone" && has_word(text, span) {
            table.count("phone, beside a word", found, note);
        } else if row == "phone" {
            table.count("phone, without a word", found, note);
        }
        if row == "phone" {
            let left = engine.redact(value).0;
            let found = !left.contains(|c: char| c.is_ascii_digit());
            table.count("phone, without its sentence", found, || format!("{value:?}"));
        }
    }
    for (detector, value, start) in matches {
        let end = start + value.len();
        let overlaps = |span: &&Span| span.start < end && start < span.end;
        let right = spans.iter().filter(overlaps).any(|span| span.row.is_some());
        // Years and dates of birth are labelled as dates, addresses within domains as domains.
        if !right && LABELS.iter().any(|(_, row)| *row == detector) {
            table.wrong(detector, &format!("{value:?} in {text:?}"));
        }
    }
}

/// Whether a word for a telephone stands beside a span.
fn has_word(text: &str, span: &Span) -> bool {
    let floor = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let before = text.get(floor(span.start.saturating_sub(NEAR))..span.start).unwrap_or_default();
    let behind = text.get(span.end..floor((span.end + NEAR).min(text.len()))).unwrap_or_default();
    let words = |part: &str| {
        let part = part.to_lowercase();
        WORDS.iter().any(|word| part.contains(word))
    };
    words(before.rsplit(['\n', '.']).next().unwrap_or_default())
        || before.trim_end().ends_with(':') && words(before)
        || words(behind.split(['\n', ',', '.']).next().unwrap_or_default())
}
