//! Cost of one whole request in the filter, natively. `cargo bench -p weir-filter --bench request`; as wasm:
//! `make bench-filter`.

#![allow(clippy::unwrap_used)]

mod serving;

use std::rc::Rc;

use criterion::{BatchSize, Criterion};

use serving::{CONTENT, SIZES};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for content in CONTENT {
        let config = Rc::new(serving::config(content));
        for (name, size) in SIZES {
            let (vm, host) = (serving::vm(&config), serving::host(size));
            criterion.bench_function(&format!("request/{content}/{name}"), |bencher| {
                bencher.iter_batched(
                    || serving::empty(&vm),
                    |()| serving::serve(&config, &vm, &host),
                    BatchSize::PerIteration,
                );
            });
        }
        let (vm, host) = (serving::vm(&config), serving::streaming_host(SIZES[0].1));
        criterion.bench_function(&format!("request/{content}/stream of 100"), |bencher| {
            bencher.iter_batched(
                || serving::empty(&vm),
                |()| serving::serve_pieces(&config, &vm, &host, 100),
                BatchSize::PerIteration,
            );
        });
    }
    criterion.final_summary();
}
