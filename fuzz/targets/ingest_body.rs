//! Sends a request to ingest: the status is one that a sender knows, and each event is stored, refused or
//! neither, once, as the response reports; if the whole is refused, nothing is stored.
#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tower::ServiceExt;
use weir_event::resource::{MAX_ATTRIBUTES, is_allowed};
use weir_event::v1::{BatchAnswer, Content, EventBatch, TraceEvent};
use weir_event::{CONTENT_TYPE, EventId, INGEST_PATH};
use weir_exporter::bus::policy::Policy;
use weir_exporter::metrics::Metrics;
use weir_exporter::secret::Secret;
use weir_exporter::{
    bus::{Form, Store, Stored},
    ingest::{Ingest, IngestSettings},
};
use weir_fuzz::{controls, pieces};

const MAX_BODY: usize = 4096;
const MAX_EVENTS: usize = 16;
const TOKEN: &str = "token-5f3e";

/// Retains what it receives; how it responds follows from the sequence.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<(EventId, Bytes)>>>);

impl Store for Memory {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    async fn store(&self, events: Vec<(EventId, Bytes)>) -> Vec<Stored> {
        let mut kept = self.0.lock().unwrap();
        let stored = events.into_iter().map(|(id, event)| match id.sequence % 4 {
            3 => Stored::NotNow,
            2 => Stored::Never("never".to_owned()),
            rest => {
                kept.push((id, event));
                Stored::Yes { duplicate: rest == 0, form: Form::Whole }
            }
        });
        stored.collect()
    }
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

fn settings(token: bool) -> IngestSettings {
    IngestSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        socket: None,
        token: token.then(|| Secret::new(TOKEN)),
        tls: None,
        max_body: MAX_BODY,
        max_events: MAX_EVENTS,
        max_in_flight: 1 << 20,
        max_batches_per_second: None,
        max_connections: 8,
        max_sources: 8,
    }
}

fuzz_target!(|data: &[u8]| {
    let ([seed, headers, setup], data) = controls(data);
    let types: [Option<&[u8]>; 6] = [
        Some(CONTENT_TYPE.as_bytes()),
        Some(b"Application/X-Protobuf ; v=1"),
        Some(CONTENT_TYPE.as_bytes()),
        Some(b"application/json"),
        Some(&[0xff]),
        None,
    ];
    let content_type = types[usize::from(headers % 8).min(types.len() - 1)];
    let right =
        content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with(CONTENT_TYPE.as_bytes()));
    let lengths = [None, Some(data.len().to_string()), Some("0".to_owned()), Some("99999".to_owned())];
    let more = [Some("-1".to_owned()), Some("x".to_owned()), Some("18446744073709551616".to_owned()), None];
    let length = lengths.into_iter().chain(more).nth(usize::from(headers >> 3) % 8).flatten();
    let (demands, given) = (setup & 3 == 3, ["wrong", "", TOKEN, TOKEN][usize::from(setup >> 2) % 4]);
    let (excludes, broken) = (setup & 0x10 != 0, setup & 0xe0 == 0xe0);

    let store = Memory::default();
    let policy = watch::channel(Policy::Known { revision: 7, excludes }).1;
    let metrics = Metrics::default().ingest;
    let ingest = Ingest::new(store.clone(), &settings(demands), metrics.clone()).under(policy);
    let mut request = Request::post(INGEST_PATH);
    if let Some(value) = content_type {
        request = request.header("content-type", value);
    }
    if let Some(value) = &length {
        request = request.header("content-length", value);
    }
    if !given.is_empty() {
        request = request.header("authorization", format!("Bearer {given}"));
    }
    let cut: Vec<Bytes> = pieces(data, seed).into_iter().map(Bytes::copy_from_slice).collect();
    let body = if broken {
        let end = std::iter::once(Err(std::io::Error::other("broken off")));
        Body::from_stream(futures_util::stream::iter(cut.into_iter().map(Ok).chain(end)))
    } else {
        Body::from_stream(futures_util::stream::iter(cut.into_iter().map(Ok::<_, Infallible>)))
    };
    let (status, answer) = RUNTIME.block_on(async {
        let response = ingest.router().oneshot(request.body(body).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, body.collect().await.unwrap().to_bytes())
    });

    let kept = store.0.lock().unwrap();
    let announced = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    if demands && given != TOKEN {
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    } else if !right {
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    } else if announced > MAX_BODY || data.len() > MAX_BODY {
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    } else if broken {
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    match status {
        StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {
            let answer = BatchAnswer::decode(answer).expect("an answer");
            // Ingest accepts a resource that is not UTF-8, and leaves it out.
            let Ok(batch) = EventBatch::decode(data) else { return };
            let stored: Vec<u64> = kept.iter().map(|(id, _)| id.sequence).collect();
            assert_eq!(answer.stored, stored);
            assert!(answer.refused.is_sorted_by(|one, next| one.position < next.position));
            let settled = answer.stored.len() + answer.refused.len();
            assert!(settled <= batch.events.len() && batch.events.len() <= MAX_EVENTS);
            assert_eq!(status == StatusCode::OK, settled == batch.events.len());
            for (id, event) in kept.iter() {
                assert!(id.source == batch.source.as_ref());
                let event = TraceEvent::decode(event.clone()).expect("an event");
                assert_eq!(EventId::of(&event), Some(*id));
                assert!(event.resource.len() <= MAX_ATTRIBUTES);
                assert!(event.resource.keys().all(|name| is_allowed(name)));
                let content = event.content.unwrap_or_default();
                let capture = content.capture;
                assert!(!excludes || content == Content { capture, ..Content::default() });
            }
            assert_eq!(answer.policy.expect("the policy").revision, 7);
        }
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNAUTHORIZED
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            assert!(kept.is_empty() && !answer.is_empty() && std::str::from_utf8(&answer).is_ok());
        }
        other => panic!("{other}"),
    }
    assert_eq!(metrics.stored.get(), kept.len() as u64);
});
