//! Responses as real servers send them, beside the shapes that the APIs' references show: each is read for what it
//! says, once, and no more.

#![cfg(not(target_arch = "wasm32"))]
// What stands outside of test functions here is test code too.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../host/mod.rs"]
mod host;

mod empty;
mod ends;
mod errors;
mod identity;
mod ragged;
mod twice;
mod twins;
mod usage;

use std::rc::Rc;

use serde_json::Value;
use weir_event::v1;
use weir_filter::api::Api;
use weir_filter::api::reading::{Answer, Transcript};
use weir_filter::capture::budget::{Budget, BudgetPermit};

/// What was read of a response.
#[derive(Debug)]
pub struct Read {
    pub response: v1::Response,
    pub outputs: Vec<v1::Output>,
    pub error_message: String,
    /// Whether each event brought a token.
    pub tokens: Vec<bool>,
}

impl Read {
    pub fn usage(&self) -> &v1::Usage {
        self.response.usage.as_ref().expect("usage")
    }

    /// The text of the only output, or an empty one.
    pub fn text(&self) -> &str {
        match self.outputs.as_slice() {
            [] => "",
            [output] => &output.text,
            outputs => panic!("{outputs:?}"),
        }
    }

    /// Id, name and arguments of each call of the only output.
    pub fn calls(&self) -> Vec<(&str, &str, &str)> {
        let calls = self.outputs.iter().flat_map(|output| &output.tool_calls);
        calls.map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str())).collect()
    }
}

pub fn transcript() -> Transcript {
    let budget = Rc::new(Budget::default());
    budget.set(1 << 20);
    Transcript::keeping(64 << 10, BudgetPermit::new(&budget))
}

/// Reads the events of a stream that the transport brought to its end.
pub fn stream(api: Api, events: &[Value]) -> Read {
    let events: Vec<String> = events.iter().map(ToString::to_string).collect();
    stream_of(api, events.iter().map(String::as_str))
}

/// The same of events as they are written.
pub fn stream_of<'e>(api: Api, events: impl IntoIterator<Item = &'e str>) -> Read {
    let mut answer = Answer::new(api, transcript());
    let mut response = v1::Response { status: 200, ..Default::default() };
    let tokens = events.into_iter().map(|event| answer.read_event(event.as_bytes(), &mut response)).collect();
    finish(answer, response, tokens)
}

/// Reads a response in one piece.
pub fn whole(api: Api, body: &Value) -> Read {
    let mut answer = Answer::new(api, transcript());
    let mut response = v1::Response { status: 200, ..Default::default() };
    assert!(answer.read(body.to_string().as_bytes(), &mut response), "{body}");
    finish(answer, response, Vec::new())
}

pub fn finish(answer: Answer, mut response: v1::Response, tokens: Vec<bool>) -> Read {
    let (outputs, error_message, _) = answer.finish(0, true, &mut response).finish();
    Read { response, outputs, error_message, tokens }
}
