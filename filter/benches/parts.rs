//! Cost of the parts that a request goes through, natively: the JSON scanner and edits per byte of a body,
//! server-sent events per byte of a stream, and the encoding of an event. `cargo bench -p weir-filter --bench
//! parts`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code, reason = "the other benches use the rest")]
mod serving;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use prost::Message;
use serde_json::json;
use weir_event::v1;
use weir_filter::json::edit::{BodyEdits, Edits, ModelEdit, Params};
use weir_filter::json::scan::Object;
use weir_filter::json::truncate::pieces::LONG;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;

use serving::SIZES;

const STREAM: &[u8] = include_bytes!("../../tests/fixtures/openai/chat_stream_plain.sse");
/// Bytes of each piece of a stream: all, a packet of a slow connection, and single bytes.
const PIECES: [usize; 3] = [STREAM.len(), 64, 1];

fn body(size: usize) -> Vec<u8> {
    let text = "word and ".repeat(size / 9);
    json!({"model": "smart", "messages": [{"role": "user", "content": text}], "max_tokens": 500})
        .to_string()
        .into()
}

fn bodies(criterion: &mut Criterion) {
    let cap = BTreeMap::from([("max_tokens".to_owned(), 100.into())]);
    let params = Params::new(&BTreeMap::from([("temperature".to_owned(), json!(0.2))]), &cap).unwrap();
    let mut group = criterion.benchmark_group("body");
    for (name, size) in SIZES {
        let body = body(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("scan", name), &body, |bencher, body| {
            bencher.iter(|| Object::parse(black_box(body)).unwrap().text_bytes());
        });
        let object = Object::parse(&body).unwrap();
        let at = [object.get("model").unwrap().range()];
        group.bench_with_input(BenchmarkId::new("splice", name), &body, |bencher, body| {
            bencher.iter(|| {
                let model = ModelEdit { json: "\"gpt-4o\"", at: &at, required: true };
                let edits = Edits { model: Some(model), params: Some(&params), usage: None };
                let edits = BodyEdits::new(black_box(body), &object, &edits);
                edits.rewrite(&body[..edits.end()]).unwrap().len()
            });
        });
    }
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events of a stream");
    group.throughput(Throughput::Bytes(STREAM.len() as u64));
    for piece in PIECES {
        group.bench_with_input(BenchmarkId::new("in pieces of", piece), &piece, |bencher, piece| {
            bencher.iter(|| {
                let (mut framer, mut found) = (Framer::new(Form::Events, LONG).unwrap(), 0);
                for bytes in black_box(STREAM).chunks(*piece) {
                    framer.read(bytes, false, |event| found += event.data.len());
                }
                found
            });
        });
    }
    group.finish();
}

/// The event of a request, as in a batch.
fn event(content: &str, size: usize) -> v1::TraceEvent {
    let config = Rc::new(serving::config(content));
    let (vm, host) = (serving::vm(&config), serving::host(size));
    serving::serve(&config, &vm, &host);
    let batch = vm.outbox.borrow_mut().next_batch(u64::MAX).unwrap();
    let batch = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
    v1::TraceEvent::decode(batch.events[0].clone()).unwrap()
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event into the outbox");
    for content in ["exclude", "redact"] {
        for (name, size) in SIZES {
            let (event, config) = (event(content, size), serving::config(content));
            let vm = serving::vm(&config);
            group.throughput(Throughput::Bytes(event.encoded_len() as u64));
            group.bench_function(BenchmarkId::new(content, name), |bencher| {
                bencher.iter_batched(
                    || {
                        serving::empty(&vm);
                        event.clone()
                    },
                    |event| vm.outbox.borrow_mut().push(event),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bodies(&mut criterion);
    streams(&mut criterion);
    encoding(&mut criterion);
    criterion.final_summary();
}
