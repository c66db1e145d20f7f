//! What redaction costs, natively, by the byte. `cargo bench -p weir-filter --bench redact`.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::json;
use weir_filter::api::Family;
use weir_filter::redact::{
    Allow, Channel, Counts, Detectors, Fields, Replacement, StreamRedactor, redact_json,
};

const KB: usize = 1000;
/// Sizes of prompts.
const SIZES: [usize; 3] = [2 * KB, 20 * KB, 200 * KB];

/// Text as people and programs write it, in which nothing matches.
const PROSE: &str = "The gauge below the weir read 3.27 m at 14:05, which is 12 % above the mean of the last ten \
    years. \"Why?\" asked Anna-Lena; nobody could tell. See section 4.1.2 of the report (2021, pp. 12-15), or run \
    `let level = gauges.iter().map(|g| g.level).sum::<f64>() / 24.0;` and compare: the tokens, the keys of the map, \
    and the path /var/lib/gauges/2024/05.csv. Die Höhe des Wehres beträgt 1,80 m – laut Plan. ";
/// Sentences with one match each.
const MATCHES: [&str; 8] = [
    "Write to anna.lena@example.com about it. ",
    "Her number is +49 30 1234567, as always. ",
    "The card 4111 1111 1111 1111 was declined. ",
    "It came from 203.0.113.77 at night. ",
    "Her date of birth is 12 March 1980, he said. ",
    "We set password=hunter2hunter2 for now. ",
    "The account is DE89 3704 0044 0532 0130 00. ",
    "His SSN is 123-45-6789, they say. ",
];

/// Text of a size with a match in so many sentences of a hundred.
fn text(size: usize, matches: usize) -> String {
    let mut out = String::with_capacity(size + 500);
    let mut sentence = 0;
    while out.len() < size {
        out.push_str(PROSE);
        for _ in 0..4 {
            sentence += 1;
            if sentence % 100 < matches {
                out.push_str(MATCHES.iter().cycle().nth(sentence % 8).unwrap());
            }
        }
    }
    out.truncate(out.floor_char_boundary(size));
    out
}

fn detectors() -> Arc<Detectors> {
    Arc::new(Detectors::new(&[], &Allow::default(), "redaction").unwrap())
}

fn texts(criterion: &mut Criterion) {
    let detectors = detectors();
    let set = detectors.all();
    let mut group = criterion.benchmark_group("text");
    for (name, matches) in [("none", 0), ("few", 5), ("many", 100)] {
        for size in SIZES {
            let text = text(size, matches);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &text, |bencher, text| {
                bencher.iter(|| {
                    let mut counts = Counts::default();
                    detectors.redact(set, black_box(text), &mut Replacement::Label, &mut counts).len()
                });
            });
        }
    }
    group.finish();
}

fn bodies(criterion: &mut Criterion) {
    let detectors = detectors();
    let set = detectors.all();
    let mut group = criterion.benchmark_group("json");
    for (name, matches) in [("none", 0), ("few", 5), ("many", 100)] {
        for size in SIZES {
            let messages: Vec<_> = text(size, matches)
                .as_bytes()
                .chunks(1500)
                .map(|part| json!({"role": "user", "content": String::from_utf8_lossy(part).replace(". ", ".\n")}))
                .collect();
            let body = json!({"model": "gpt-4o", "stream": true, "messages": messages}).to_string();
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &body, |bencher, body| {
                bencher.iter(|| {
                    let fields = Fields::request(Family::OpenAi);
                    let body = black_box(body.as_bytes());
                    redact_json(body, &detectors, set, fields, &mut Replacement::Label).unwrap().body.len()
                });
            });
        }
    }
    group.finish();
}

/// Inputs that are made to be slow, from 1 KB to 4 MB: the time a byte stays the same.
fn hostile(criterion: &mut Criterion) {
    let detectors = detectors();
    let set = detectors.all();
    let mut group = criterion.benchmark_group("hostile");
    group.sample_size(10);
    for (name, part) in [
        ("a", "a"),
        ("at", "@"),
        ("digits", "1"),
        ("groups", "4111 "),
        ("quotes", "\\\""),
        ("addresses", "a@b.co"),
        ("tokens", "eyJhbGciOiJIUzI1NiJ9."),
        ("passwords", "password=a1"),
        ("keys", "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA\n"),
        ("fullwidth", "１"),
    ] {
        for size in [KB, 64 * KB, 4000 * KB] {
            let text = part.repeat(size / part.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &text, |bencher, text| {
                bencher.iter(|| {
                    let mut counts = Counts::default();
                    detectors.redact(set, black_box(text), &mut Replacement::Label, &mut counts).len()
                });
            });
        }
    }
    for size in [KB, 64 * KB, 4000 * KB] {
        let mut body = json!(["x"]).to_string();
        // A string in a string in a string, each with what the next needs to be escaped.
        while body.len() < size {
            body = json!([body]).to_string();
        }
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("nested quotes", size), &body, |bencher, body| {
            bencher.iter(|| {
                let body = black_box(body.as_bytes());
                redact_json(body, &detectors, set, Fields::NONE, &mut Replacement::Label).unwrap().body.len()
            });
        });
    }
    group.finish();
}

/// A stream of pieces of four bytes, as tokens are, and what compiling costs.
fn streams_and_compiling(criterion: &mut Criterion) {
    let detectors = detectors();
    let text = text(20 * KB, 5);
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements((text.len() / 4) as u64));
    group.bench_function("pieces of 4 bytes", |bencher| {
        bencher.iter(|| {
            let set = detectors.all();
            let mut redactor =
                StreamRedactor::new(Arc::clone(&detectors), set, Replacement::Label, Channel::Text);
            let mut left = 0;
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(rest.len().min(4)));
                left += redactor.feed(piece).len();
                rest = after;
            }
            left + redactor.finish().len()
        });
    });
    group.finish();
    eprintln_size(&detectors);
    criterion.bench_function("compile all detectors", |bencher| bencher.iter(self::detectors));
}

#[allow(clippy::print_stderr)]
fn eprintln_size(detectors: &Detectors) {
    eprintln!("all detectors take {} KiB", detectors.size() >> 10);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    texts(&mut criterion);
    bodies(&mut criterion);
    hostile(&mut criterion);
    streams_and_compiling(&mut criterion);
    criterion.final_summary();
}
