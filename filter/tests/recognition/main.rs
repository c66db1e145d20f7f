//! What the detectors recognize: every form of key, what was missed once, and corpora that others wrote
//! (`make redaction-outside FOLDER=…`).
//!
//! The folder contains clones of these repositories, by their names; nothing of them is part of this one.
//! A value counts as found if it does not reach the output as a whole, with every detector on.

#![cfg(not(target_arch = "wasm32"))]
// clippy does not know what test functions call.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::string_slice, clippy::print_stdout)]

mod forms;
mod generate;
mod go;
mod misses;
mod presidio;
mod python;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weir_filter::redact::{Allow, Counts, DetectorId, Detectors, Replace};

/// The repositories that are read.
const NEEDED: [(&str, &str); 4] = [
    ("presidio-research", "https://github.com/microsoft/presidio-research"),
    ("gitleaks", "https://github.com/gitleaks/gitleaks"),
    ("trufflehog", "https://github.com/trufflesecurity/trufflehog"),
    ("detect-secrets", "https://github.com/Yelp/detect-secrets"),
];

/// Lowest recall by row; a row below it fails, and so does one without cases.
const GOALS: [(&str, f64); 16] = [
    ("email", 1.0),
    ("iban", 1.0),
    ("openai", 1.0),
    ("anthropic", 1.0),
    ("credit_card", 0.97),
    ("phone", 0.95),
    ("phone, without its sentence", 0.75),
    ("phone, beside a word", 1.0),
    ("ssn", 0.97),
    ("aws", 0.9),
    ("azure", 0.9),
    ("url_credentials", 0.9),
    ("generic_secret", 0.8),
    ("ip", 0.97),
    ("keys of other vendors, bare", 0.9),
    ("keys of other vendors, beside their names", 0.8),
];
/// Most wrong matches among those in presidio-research.
const WRONG_MAX: f64 = 0.02;

/// What was counted for a row of the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub found: usize,
    pub missed: usize,
    /// Matches where the corpus has nothing; `None` if it does not say.
    pub wrong: Option<usize>,
}

/// The rows, and examples of what was missed and wrong.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, Row>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn count(&mut self, row: &str, found: bool, note: impl Fn() -> String) {
        let counted = self.rows.entry(row.to_owned()).or_default();
        if found {
            counted.found += 1;
        } else {
            counted.missed += 1;
            self.notes.push(format!("{row}: missed {}", note()));
        }
    }

    pub(crate) fn judged(&mut self, row: &str) {
        let counted = self.rows.entry(row.to_owned()).or_default();
        counted.wrong = counted.wrong.or(Some(0));
    }

    pub(crate) fn wrong(&mut self, row: &str, note: &str) {
        let counted = self.rows.entry(row.to_owned()).or_default();
        counted.wrong = Some(counted.wrong.unwrap_or(0) + 1);
        self.notes.push(format!("{row}: wrong {note}"));
    }
}

/// Collects matches in the order of the text.
#[derive(Default)]
struct Matched(Vec<(DetectorId, String)>);

impl Replace for Matched {
    fn replace(&mut self, detector: DetectorId, _: &str, value: &str, out: &mut String) {
        self.0.push((detector, value.to_owned()));
        out.push('\u{1}');
    }
}

/// Every detector, ready for use.
pub(crate) struct Engine(Detectors);

impl Engine {
    fn new() -> Self {
        Self(Detectors::new(&[], &Allow::default(), "redaction").expect("the built-in detectors"))
    }

    /// Returns the text without its matches, and each match with its detector's name and its offset.
    pub(crate) fn redact(&self, text: &str) -> (String, Vec<(&str, String, usize)>) {
        let mut matched = Matched::default();
        let out = self.0.redact(self.0.all(), text, &mut matched, &mut Counts::default()).into_owned();
        let mut offset = 0;
        let mut parts = out.split('\u{1}').map(str::len);
        let mut all = Vec::new();
        for (detector, value) in matched.0 {
            offset += parts.next().unwrap_or(0);
            let length = value.len();
            all.push((self.0.name(detector).0, value, offset));
            offset += length;
        }
        (out, all)
    }
}

/// Returns the files below a folder whose path fits.
pub(crate) fn files(folder: &Path, fits: impl Fn(&str) -> bool + Copy) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().is_some_and(fits) {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

#[test]
#[ignore = "needs corpora of others: make redaction-outside"]
fn every_detector_finds_what_others_expect() {
    let folder = PathBuf::from(std::env::var("WEIR_OUTSIDE").unwrap_or_default());
    for (name, source) in NEEDED {
        assert!(
            folder.join(name).is_dir(),
            "no folder {name:?} in {folder:?}: clone {source} there, and set WEIR_OUTSIDE to the folder"
        );
    }
    let engine = Engine::new();
    let mut table = Table::default();
    presidio::measure(&engine, &folder.join("presidio-research"), &mut table);
    secrets::gitleaks(&engine, &folder.join("gitleaks"), &mut table);
    secrets::trufflehog(&engine, &folder.join("trufflehog"), &mut table);
    secrets::detect_secrets(&engine, &folder.join("detect-secrets"), &mut table);
    let (bytes, matches) = secrets::code(&engine, &folder);
    if std::env::var("WEIR_OUTSIDE_NOTES").is_ok() {
        table.notes.iter().chain(&matches).for_each(|note| println!("{note}"));
    }
    println!("\n| detector | cases | found | wrong | precision | recall |\n|---|---|---|---|---|---|");
    let (mut below, mut right, mut wrong) = (Vec::new(), 0, 0);
    for (name, row) in &table.rows {
        let cases = row.found + row.missed;
        let recall = row.found as f64 / cases.max(1) as f64;
        let precision = row.wrong.map_or("–".to_owned(), |wrong| {
            format!("{:.3}", row.found as f64 / (row.found + wrong).max(1) as f64)
        });
        let shown = row.wrong.map_or("–".to_owned(), |wrong| wrong.to_string());
        println!("| {name} | {cases} | {} | {shown} | {precision} | {recall:.3} |", row.found);
        if let Some(count) = row.wrong {
            right += row.found;
            wrong += count;
        }
    }
    for (name, least) in GOALS {
        let row = table.rows.get(name).copied().unwrap_or_default();
        let recall = row.found as f64 / (row.found + row.missed).max(1) as f64;
        if recall < least {
            below.push(name);
        }
    }
    println!(
        "\nmatches in {:.1} MB of Go and Python that are no tests: {}",
        bytes as f64 / 1e6,
        matches.len()
    );
    let share = wrong as f64 / (right + wrong).max(1) as f64;
    println!("wrong matches in presidio-research: {wrong}, {:.1} % of all", 100.0 * share);
    assert!(below.is_empty(), "below their goals: {below:?}");
    assert!(share <= WRONG_MAX, "more than {WRONG_MAX} of the matches are wrong");
}
