//! Cost of redaction per byte, natively. `cargo bench -p weir-filter --bench redact`.

#![allow(clippy::unwrap_used)]

mod texts;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::json;
use weir_filter::api::openai;
use weir_filter::redact::{
    Allow, Channel, Counts, Detectors, Fields, Replacement, StreamRedactor, redact_json,
};

use texts::{HOSTILE, KB, SIZES, text};

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
                    let fields = openai::FAMILY.request_fields;
                    let body = black_box(body.as_bytes());
                    redact_json(body, &detectors, set, fields, &mut Replacement::Label).unwrap().body.len()
                });
            });
        }
    }
    group.finish();
}

/// Inputs made to be slow, from 1 KB to 4 MB: the time per byte stays the same.
fn hostile(criterion: &mut Criterion) {
    let detectors = detectors();
    let set = detectors.all();
    let mut group = criterion.benchmark_group("hostile");
    group.sample_size(10);
    for (name, part) in HOSTILE {
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
        // A string in a string in a string, each with the escapes of the next.
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

/// A stream of pieces of four bytes, like tokens, and the cost of compiling.
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
