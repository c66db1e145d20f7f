//! The memory that a worker holds for requests: within its budget whatever comes, refused in shape beyond it, and
//! all given back.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]
#![allow(missing_docs)]

mod allocator;
mod requests;
mod responses;
#[path = "../streams/mod.rs"]
#[allow(dead_code, reason = "what is delivered is not put together again here")]
mod streams;
mod worker;

use std::rc::Rc;

use worker::{Refused, Worker};

/// One mebibyte.
const MIB: usize = 1 << 20;

/// A body as hosts hold it.
fn shared(body: &str) -> Rc<[u8]> {
    body.as_bytes().into()
}

/// Nothing is reserved any more, and the next request is served.
fn recovers(worker: &Worker) {
    assert_eq!((worker.vm.memory.used(), worker.vm.budget.used()), (0, 0), "all is given back");
    assert!(worker.vm.streams.borrow().is_empty());
    let body = shared(r#"{"model":"openai","messages":[{"role":"user","content":"ring +49 30 1234567"}]}"#);
    let mut request = worker.ask("/v1/chat/completions", &body);
    assert!(request.refused().is_none(), "{:?}", request.refused());
    request.respond("application/json", &shared(r#"{"choices":[{"message":{"content":"so"}}]}"#));
    assert!(request.feed_rest().contains("so"));
    request.end();
    assert_eq!(worker.vm.memory.used(), 0);
}

/// A refusal for lack of memory, in the shape of the API.
fn is_overload(refused: &Refused, path: &str) {
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")), "{path} {refused:?}");
    is_error(&serde_json::from_str(&refused.body).expect(&refused.body), path);
}

/// An error of the API of a path.
fn is_error(error: &serde_json::Value, path: &str) {
    let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let (place, expected) = match path {
        _ if path.contains("messages") => (&error["error"]["type"], "overloaded_error"),
        _ if path.contains("beta") => (&error["error"]["status"], "UNAVAILABLE"),
        _ if path.starts_with("/v2") => (&error["message"], ""),
        _ => (&error["error"]["code"], "overloaded"),
    };
    let found = word(place).unwrap_or_else(|| panic!("{path} {error}"));
    assert!(expected.is_empty() || found == expected, "{path} {error}");
    assert!(error.to_string().contains("memory"), "{path} {error}");
}
