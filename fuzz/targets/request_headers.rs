//! A request's headers: the path, credentials in every place, and what a caller says about its
//! request. No credential is in anything that goes on, is answered or is told.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::auth::{RequestMetadata, credential, without_key};
use weir_filter::api::{Api, Call, Passage};
use weir_filter::headers::Headers;
use weir_filter::host::Step;
use weir_fuzz::stream;

const NAMES: [&str; 16] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-weir-metadata",
    "x-tfy-metadata",
    "x-weir-conversation-id",
    "x-weir-user",
    "x-weir-timeout-ms",
    "x-weir-content",
    "x-tfy-logging-config",
    "x-forwarded-for",
    "user-agent",
    "content-length",
    "content-encoding",
    "cookie",
];
/// Stands in place of a byte that no header has.
const SECRET: &str = "sk-canary-5f3e";

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let path = String::from_utf8_lossy(lines.next().unwrap_or_default()).replace('\u{1}', SECRET);
    let mut headers = Vec::new();
    for line in lines.take(40) {
        let Some((name, value)) = line.split_first() else { continue };
        let mut value = value.to_vec();
        let name = NAMES[usize::from(*name) % NAMES.len()];
        if name.ends_with("key") && value.iter().any(|byte| *byte == 1) {
            value = SECRET.into();
        }
        headers.push((name.to_owned(), value));
    }
    let all = Headers(headers.clone());
    let (_, query) = path.split_once('?').unwrap_or((&path, ""));
    let found = credential(&all, Some(query));
    if let Ok(metadata) = RequestMetadata::read(&all) {
        assert!(metadata.metadata.len() <= 32 && metadata.user.len() <= 256);
    }
    let clean = without_key(&path);
    assert_eq!(without_key(&clean), clean);
    let query = clean.split_once('?').map(|(_, query)| query);
    assert_eq!(credential(&Headers::default(), query), Ok(None), "{clean}");
    if let Ok(call) = Call::of(b"POST", &clean) {
        assert!(call.query.is_empty() || clean.contains(call.query.trim_start_matches('?')));
    }
    if let Some(passage) = Passage::of(b"GET", &clean) {
        assert!(matches!(passage.call.api, Api::Passthrough(_)));
        assert_eq!(passage.call.passed.as_deref(), Some(&*clean));
        let path = clean.split('?').next().unwrap_or_default();
        assert!(!path.contains("/../") && !path.contains("//") && clean.is_ascii());
    }

    let is_here = |text: &str| text.contains(SECRET);
    let mut stream = stream(&path, headers, br#"{"model":"m","messages":[]}"#);
    if stream.arrive() == Step::Continue {
        stream.attempt();
        let sent = format!("{:?}", stream.host.request_headers.borrow());
        let asked = found.is_ok_and(|key| key.is_some_and(|key| key == SECRET.as_bytes()));
        assert!(!asked || !is_here(&sent), "{sent}");
        for (name, value) in stream.host.request_headers.borrow().iter() {
            assert!(
                !["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"]
                    .contains(&name.as_str())
            );
            assert!(value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f), "{name}");
        }
    }
    drop(stream.event());
});
