//! The generated code in `src/generated` is what `proto/` says.
//!
//! `WEIR_UPDATE=1 cargo test -p weir-event --test generated` writes it anew.

#![cfg(not(target_arch = "wasm32"))]

use std::{env, fs, path::Path};

#[test]
fn the_generated_code_is_what_the_proto_file_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["weir/event/v1/event.proto"], [root.join("proto")])
        .expect("the proto file compiles");
    let out = env::temp_dir().join(format!("weir-event-{}", std::process::id()));
    fs::create_dir_all(&out).unwrap();
    prost_build::Config::new()
        .bytes(["."])
        // In order, so that the same event always gives the same bytes and the same spans.
        .btree_map(["."])
        .out_dir(&out)
        .compile_fds(descriptors)
        .expect("the descriptors become Rust");
    let fresh = fs::read_to_string(out.join("weir.event.v1.rs")).unwrap();
    fs::remove_dir_all(&out).unwrap();

    let kept = root.join("src/generated/weir.event.v1.rs");
    if env::var_os("WEIR_UPDATE").is_some() {
        fs::write(&kept, &fresh).unwrap();
    }
    let kept = fs::read_to_string(&kept).unwrap_or_default();
    assert!(kept == fresh, "event/src/generated is stale: run `make generate`");
}
