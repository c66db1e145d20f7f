//! Measures a request's cost in the filter, in µs, and the speed of redaction, in MB/s, by the same steps
//! natively and as wasm in Node: `make bench-filter`. The machine may be shared, so only the comparison within
//! one run counts.

// The output is the result.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../benches/serving/mod.rs"]
mod serving;
#[path = "../benches/texts/mod.rs"]
mod texts;

use std::hint::black_box;
use std::rc::Rc;

use serde_json::json;
use weir_filter::api::openai;
use weir_filter::redact::{Allow, Counts, Detectors, Fields, Replacement, redact_json};

use texts::{HOSTILE, KB, MATCHING, SIZES, text};

/// Minimal duration of each step, in ms; the fastest round counts.
const LEAST_MS: f64 = 100.0;

/// Processor time of this thread, in ms, so that other processes do not count.
#[cfg(target_arch = "wasm32")]
fn now_ms() -> f64 {
    js_sys::eval("process.cpuUsage().user / 1e3").unwrap().as_f64().unwrap()
}

/// The same (proc(5), `schedstat`: the first number, in ns).
#[cfg(not(target_arch = "wasm32"))]
fn now_ms() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    line.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

/// Calls between two readings of the clock.
const CALLS: u32 = 8;

/// Duration of one call, in ms: the least of several measurements.
fn time(mut call: impl FnMut() -> usize) -> f64 {
    let rounds = (0..5).map(|_| {
        let (start, mut calls) = (now_ms(), 0.0);
        loop {
            // Reading the clock costs as much as a call.
            for _ in 0..CALLS {
                black_box(call());
            }
            calls += f64::from(CALLS);
            let took = now_ms() - start;
            if took >= LEAST_MS {
                return took / calls;
            }
        }
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn redaction(mut say: impl FnMut(String)) {
    let new = || Detectors::new(&[], &Allow::default(), "redaction").unwrap();
    let detectors = new();
    let set = detectors.all();
    say(format!("compiling: {:.1} ms, {} KiB", time(|| new().size()), detectors.size() >> 10));
    let speed = |bytes: usize, ms: f64| format!("{:>5.0}", bytes as f64 / 1e3 / ms);
    let plain = |text: &str| {
        let mut counts = Counts::default();
        detectors.redact(set, black_box(text), &mut Replacement::Label, &mut counts).len()
    };
    for (name, matches) in MATCHING {
        let of_text = SIZES.map(|size| {
            let text = text(size, matches);
            speed(text.len(), time(|| plain(&text)))
        });
        let of_json = SIZES.map(|size| {
            let body = json!({"messages": [{"role": "user", "content": text(size, matches)}]}).to_string();
            let fields = openai::FAMILY.request_fields;
            let redact = || {
                let body = black_box(body.as_bytes());
                redact_json(body, &detectors, set, fields, &mut Replacement::Label).unwrap().body.len()
            };
            speed(body.len(), time(redact))
        });
        say(format!("{name:<10} 2, 20, 200 KB: text {}, JSON {}", of_text.join(" "), of_json.join(" ")));
    }
    let json = |text: &str| {
        let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let redact = || {
            let body = black_box(body.as_bytes());
            redact_json(body, &detectors, set, Fields::NONE, &mut Replacement::Label).unwrap().body.len()
        };
        (body.len(), time(redact))
    };
    let mut worst = (0.0, "");
    for (name, part) in HOSTILE {
        let texts = [KB, 64 * KB, 1000 * KB].map(|size| part.repeat(size / part.len()));
        let plain = texts.each_ref().map(|text| (text.len(), time(|| plain(text))));
        let in_json = json(&texts[1]);
        for (bytes, ms) in plain.into_iter().chain([in_json]).skip(1) {
            let each = ms / (bytes as f64 / 1e6);
            worst = if each > worst.0 { (each, part) } else { worst };
        }
        let plain = plain.map(|(bytes, ms)| speed(bytes, ms)).join(" ");
        let in_json = speed(in_json.0, in_json.1);
        say(format!("{name:<10} 1 KB, 64 KB, 1 MB: {plain}, 64 KB in JSON {in_json}"));
    }
    say(format!("the worst: {:.0} ms/MB, {:?} repeated", worst.0, worst.1));
}

fn requests(mut say: impl FnMut(String)) {
    for content in serving::CONTENT {
        let config = Rc::new(serving::config(content));
        let took = serving::SIZES.map(|(_, size)| {
            let (vm, host) = (serving::vm(&config), serving::host(size));
            let ms = time(|| {
                serving::serve(&config, &vm, &host);
                serving::empty(&vm);
                size
            });
            format!("{:>6.1}", ms * 1e3)
        });
        say(format!("content: {content:<8} 1, 10, 100 KB: {} us", took.join(" ")));
    }
}

/// Chunks of the longer of two streams.
const CHUNKS: usize = 101;

/// The cost of one more chunk of a stream.
fn chunks(mut say: impl FnMut(String)) {
    for content in serving::CONTENT {
        let config = Rc::new(serving::config(content));
        let (vm, host) = (serving::vm(&config), serving::streaming_host(KB));
        let [short, long] = [1, CHUNKS].map(|chunks| {
            time(|| {
                serving::serve_pieces(&config, &vm, &host, chunks);
                serving::empty(&vm);
                chunks
            })
        });
        say(format!("content: {content:<8} {:>6.2} us", (long - short) * 1e3 / (CHUNKS - 1) as f64));
    }
}

fn measure(mut say: impl FnMut(String)) {
    say("a request:".to_owned());
    requests(&mut say);
    say("one more chunk of a stream:".to_owned());
    chunks(&mut say);
    say("redaction, MB/s:".to_owned());
    redaction(&mut say);
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
#[ignore = "a measurement: make bench-filter"]
fn the_filter_is_fast() {
    measure(|line| println!("{line}"));
}

#[cfg(target_arch = "wasm32")]
#[wasm_bindgen_test::wasm_bindgen_test]
fn the_filter_is_fast() {
    measure(|line| wasm_bindgen_test::console_log!("{line}"));
}
