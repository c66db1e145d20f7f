//! A request's body, for each API: it is forwarded as JSON that differs only in the model, what the target sets
//! or caps, and the request for usage; or it is refused in the shape of the API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use weir_filter::api::call::Call;
use weir_filter::host::Step;
use weir_filter::json::scan::Object;
use weir_fuzz::{PATHS, controls, is_clean, plant, stream};

fuzz_target!(|data: &[u8]| {
    let ([path], body) = controls(data);
    let path = PATHS[usize::from(path) % PATHS.len()];
    let body = plant(body);
    let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    let mut stream = stream(path, headers, &body);
    if stream.arrive() == Step::Continue {
        stream.attempt();
        let sent = stream.host.request_body.borrow().clone();
        assert_eq!(stream.host.header("content-length").unwrap(), sent.len().to_string());
        // serde_json reads no lone surrogate, which must be forwarded unchanged.
        if let Some(before) = members(&body) {
            assert_eq!(members(&sent), Some(before), "{}", String::from_utf8_lossy(&sent));
        }
        let object = Object::parse(&sent).expect("what is sent is an object");
        if let Some(model) = object.get("model").and_then(|model| model.as_str()) {
            assert!(model == "up-m" || model == "models/up-m", "{model}");
        }
    } else {
        let (status, _) = stream.host.answered.borrow().clone().expect("an answer");
        assert!((400..500).contains(&status), "{status}");
    }
    let event = stream.event().expect("an event");
    let content = event.content.unwrap_or_default();
    let fields = Call::of(b"POST", path).expect("a call").api.family().request_fields;
    assert!(is_clean(&content.request, fields));
});

/// The members that nothing changes.
fn members(body: &[u8]) -> Option<Map<String, Value>> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    for (key, value) in &mut members {
        if ["requests", "generatecontentrequest", "generate_content_request"]
            .contains(&key.to_lowercase().as_str())
        {
            without_model(value);
        }
    }
    let ours = ["model", "temperature", "max_tokens", "max_completion_tokens", "stream_options"];
    members.retain(|key, _| !ours.contains(&key.to_lowercase().as_str()));
    Some(members)
}

fn without_model(value: &mut Value) {
    match value {
        Value::Object(members) => members.retain(|key, _| key.to_lowercase() != "model"),
        Value::Array(elements) => elements.iter_mut().for_each(without_model),
        _ => {}
    }
}
