use std::sync::Mutex;

use axum::{
    body::{Body, to_bytes},
    http::header::AUTHORIZATION,
};
use tower::ServiceExt as _;
use weir_event::v1::{self, EventBatch};

use super::*;
use crate::{metrics::Metrics, secret::Secret};

const SOURCE: [u8; 16] = [7; 16];

const MAX_BODY: usize = 8 << 20;

fn settings(token: Option<&str>) -> IngestSettings {
    IngestSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        socket: None,
        token: token.map(Secret::new),
        tls: None,
        max_body: MAX_BODY,
        max_events: 4096,
        max_in_flight: 2 * MAX_BODY,
        max_batches_per_second: None,
        max_connections: 8,
        max_sources: 8,
    }
}

/// Keeps what it is given; sequence 13 cannot be stored now, sequence 66 never.
#[derive(Clone, Default)]
struct Kept {
    events: Arc<Mutex<Vec<(EventId, Bytes)>>>,
    away: bool,
}

impl Store for Kept {
    fn ready(&self) -> Result<(), String> {
        if self.away { Err("away".to_owned()) } else { Ok(()) }
    }

    async fn store(&self, events: Vec<(EventId, Bytes)>) -> Vec<Stored> {
        let mut kept = self.events.lock().unwrap();
        let mut told = Vec::new();
        for (id, event) in events {
            let known = kept.iter().any(|(other, _)| *other == id);
            told.push(match id.sequence {
                13 => Stored::NotNow,
                66 => Stored::Never("too large".to_owned()),
                _ => Stored::Yes { duplicate: known, form: Form::Whole },
            });
            kept.push((id, event));
        }
        told
    }
}

fn event(sequence: u64) -> Bytes {
    TraceEvent { source: Bytes::copy_from_slice(&SOURCE), sequence, ..TraceEvent::default() }
        .encode_to_vec()
        .into()
}

fn body(events: Vec<Bytes>) -> Vec<u8> {
    EventBatch { source: Bytes::copy_from_slice(&SOURCE), events, ..Default::default() }.encode_to_vec()
}

fn post(body: impl Into<Body>) -> Request {
    Request::post(INGEST_PATH).header(CONTENT_TYPE, weir_event::CONTENT_TYPE).body(body.into()).unwrap()
}

async fn ask(store: &Kept, token: Option<&str>, request: Request) -> (StatusCode, HeaderMap, Bytes) {
    let router = Ingest::new(store.clone(), &settings(token), Metrics::default().ingest).router();
    answered(router, request).await
}

async fn answered(router: Router, request: Request) -> (StatusCode, HeaderMap, Bytes) {
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status, head.headers, to_bytes(body, MAX_BODY).await.unwrap())
}

fn decoded(body: Bytes) -> BatchAnswer {
    BatchAnswer::decode(body).unwrap()
}

#[tokio::test]
async fn a_batch_is_stored_as_it_was_sent_and_answered_with_200() {
    let store = Kept::default();
    let (status, headers, answer) = ask(&store, None, post(body(vec![event(1), event(2)]))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[CONTENT_TYPE], weir_event::CONTENT_TYPE);
    let answer = decoded(answer);
    assert_eq!(answer.stored, [1, 2]);
    assert_eq!(answer.exporter_version, VERSION);
    let kept = store.events.lock().unwrap();
    assert_eq!(kept[1], (EventId { source: SOURCE, sequence: 2 }, event(2)));
}

#[tokio::test]
async fn events_are_stored_with_the_batchs_resource_and_not_with_one_of_their_own() {
    let attributes = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let lying = TraceEvent {
        source: Bytes::copy_from_slice(&SOURCE),
        sequence: 1,
        resource: attributes(&[("host.name", "lie"), ("host.id", "lie"), ("service.name", "lie")]),
        ..TraceEvent::default()
    };
    let batch = |resource| EventBatch {
        source: Bytes::copy_from_slice(&SOURCE),
        events: vec![lying.encode_to_vec().into(), event(2)],
        resource,
        ..EventBatch::default()
    };
    let store = Kept::default();
    let metrics = Metrics::default().ingest;
    let ingest = Ingest::new(store.clone(), &settings(None), metrics.clone());
    let sent = attributes(&[("host.name", "node-7"), ("k8s.pod.name", "pod"), ("mw.account_key", "k")]);
    for (sent, kept) in [
        (sent, attributes(&[("host.name", "node-7"), ("k8s.pod.name", "pod")])),
        (Default::default(), Default::default()),
    ] {
        let (status, _, answer) = answered(ingest.clone().router(), post(batch(sent).encode_to_vec())).await;
        assert_eq!((status, decoded(answer).stored), (StatusCode::OK, vec![1, 2]));
        for (id, event) in store.events.lock().unwrap().drain(..) {
            let event = TraceEvent::decode(event).unwrap();
            assert_eq!((event.sequence, &event.resource), (id.sequence, &kept));
        }
    }
    assert_eq!(metrics.resource_dropped.get(), 1 + 3 + 3);
}

/// Stores what it is given once it is let.
#[derive(Clone)]
struct Slow(Kept, Arc<tokio::sync::Notify>);

impl Store for Slow {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    async fn store(&self, events: Vec<(EventId, Bytes)>) -> Vec<Stored> {
        self.1.notified().await;
        self.0.store(events).await
    }
}

#[tokio::test]
async fn what_small_events_grow_by_takes_room_and_a_batch_alone_is_always_taken() {
    let resource = (0..16).map(|n| (format!("host.{n}"), "v".repeat(240))).collect();
    let events = vec![event(1); 4096];
    let source = Bytes::copy_from_slice(&SOURCE);
    let batch = EventBatch { source, events, resource, ..EventBatch::default() }.encode_to_vec();
    assert!(batch.len() < MAX_BODY / 32);
    for (max_in_flight, second) in [
        (8 << 20, StatusCode::SERVICE_UNAVAILABLE),
        (24 << 20, StatusCode::SERVICE_UNAVAILABLE),
        (64 << 20, StatusCode::OK),
    ] {
        let store = Slow(Kept::default(), Arc::default());
        let settings = IngestSettings { max_in_flight, ..settings(None) };
        let ingest = Ingest::new(store.clone(), &settings, Metrics::default().ingest);
        let ask = || tokio::spawn(answered(ingest.clone().router(), post(batch.clone())));
        let mut asked = [ask(), ask()];
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        store.1.notify_waiters();
        let [one, other] = &mut asked;
        let mut statuses = [one.await.unwrap().0, other.await.unwrap().0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, second], "{max_in_flight}");
    }
}

#[tokio::test]
async fn what_is_stored_is_counted_though_its_sender_has_gone_away() {
    let store = Slow(Kept::default(), Arc::default());
    let metrics = Metrics::default().ingest;
    let ingest = Ingest::new(store.clone(), &settings(None), metrics.clone());
    let mut answer = Box::pin(ingest.router().oneshot(post(body(vec![event(1), event(2)]))));
    tokio::select! {
        biased;
        _ = &mut answer => panic!("nothing is stored yet"),
        () = tokio::task::yield_now() => {}
    }
    drop(answer);
    store.1.notify_one();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.stored.get(), 2);
}

#[tokio::test]
async fn the_policy_is_told_and_enforced_whatever_the_sender_knows_of_it() {
    let capture = v1::Capture::Kept.into();
    let content = v1::Content { capture, request: b"canary".as_slice().into(), ..v1::Content::default() };
    let event = TraceEvent {
        source: Bytes::copy_from_slice(&SOURCE),
        sequence: 1,
        content: Some(content),
        ..TraceEvent::default()
    };
    let (policy, known) = watch::channel(Capture::Unknown);
    let store = Kept::default();
    let ingest = Ingest::new(store.clone(), &settings(None), Metrics::default().ingest).under(known);
    let send = || answered(ingest.clone().router(), post(body(vec![event.encode_to_vec().into()])));
    let ask = || answered(ingest.clone().router(), Request::get(POLICY_PATH).body(Body::empty()).unwrap());
    // Before it is known what may be stored, nothing is.
    assert_eq!(
        (send().await.0, ask().await.0),
        (StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE)
    );
    assert!(store.events.lock().unwrap().is_empty());
    for (revision, excludes) in [(7, false), (8, true), (9, false)] {
        policy.send_replace(Capture::Known { revision, excludes });
        let (status, _, answer) = send().await;
        let policy = decoded(answer).policy.unwrap();
        assert_eq!((status, policy.revision), (StatusCode::OK, revision));
        assert_eq!(policy.content() == v1::CaptureRule::Exclude, excludes);
        let (status, _, answer) = ask().await;
        assert_eq!((status, decoded(answer).policy), (StatusCode::OK, Some(policy)));
        let stored = store.events.lock().unwrap().pop().unwrap().1;
        assert_eq!(stored.windows(6).any(|window| window == b"canary"), !excludes);
    }
    policy.send_replace(Capture::NONE);
    assert_eq!(decoded(ask().await.2).policy, None);
}

#[tokio::test]
async fn the_policy_is_told_to_those_with_the_token_only() {
    let router = Ingest::new(Kept::default(), &settings(Some("t0ken")), Metrics::default().ingest).router();
    let ask = |request: axum::http::request::Builder| {
        answered(router.clone(), request.body(Body::empty()).unwrap())
    };
    assert_eq!(ask(Request::get(POLICY_PATH)).await.0, StatusCode::UNAUTHORIZED);
    let authorized = Request::get(POLICY_PATH).header(AUTHORIZATION, "Bearer t0ken");
    assert_eq!(ask(authorized).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_event_that_can_never_be_stored_is_refused_by_position_and_the_rest_kept() {
    let other = TraceEvent { source: vec![9; 16].into(), sequence: 5, ..TraceEvent::default() };
    let events =
        vec![event(1), Bytes::from_static(b"\xff\xff"), event(66), event(0), other.encode_to_vec().into()];
    let (status, _, answer) = ask(&Kept::default(), None, post(body(events))).await;
    assert_eq!(status, StatusCode::OK);
    let answer = decoded(answer);
    assert_eq!(answer.stored, [1]);
    assert_eq!(answer.refused.iter().map(|refusal| refusal.position).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_could_not_be_stored_now_makes_a_503_that_names_what_was() {
    let (status, headers, answer) = ask(&Kept::default(), None, post(body(vec![event(12), event(13)]))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[RETRY_AFTER], "1");
    assert_eq!(decoded(answer).stored, [12]);
}

#[tokio::test]
async fn while_nats_is_away_the_answer_is_503_at_once() {
    let store = Kept { away: true, ..Kept::default() };
    let (status, headers, answer) = ask(&store, None, post(body(vec![event(1)]))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[RETRY_AFTER], "1");
    assert!(decoded(answer).stored.is_empty());
    assert!(store.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_the_token_nothing_is_read() {
    let store = Kept::default();
    let (status, ..) = ask(&store, Some("t0ken"), post(body(vec![event(1)]))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let mut request = post(body(vec![event(1)]));
    request.headers_mut().insert(AUTHORIZATION, "Bearer t0ken".parse().unwrap());
    let (status, ..) = ask(&store, Some("t0ken"), request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(store.events.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn another_content_type_is_415() {
    let request = Request::post(INGEST_PATH).header(CONTENT_TYPE, "application/json").body(Body::empty());
    let (status, ..) = ask(&Kept::default(), None, request.unwrap()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let untyped = Request::post(INGEST_PATH).body(Body::empty()).unwrap();
    assert_eq!(ask(&Kept::default(), None, untyped).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_announced_or_not() {
    let large = vec![0_u8; MAX_BODY + 1];
    let (status, ..) = ask(&Kept::default(), None, post(large.clone())).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut announced = post(Body::empty());
    announced.headers_mut().insert(axum::http::header::CONTENT_LENGTH, (MAX_BODY + 1).into());
    assert_eq!(ask(&Kept::default(), None, announced).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_no_batch_is_400() {
    for bytes in
        [b"\xff\xff\xff".to_vec(), EventBatch::default().encode_to_vec(), body(vec![Bytes::new(); 4097])]
    {
        let (status, ..) = ask(&Kept::default(), None, post(bytes)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn an_empty_batch_is_fine() {
    let (status, ..) = ask(&Kept::default(), None, post(body(Vec::new()))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn another_path_is_404_and_another_method_405() {
    let path = Request::post("/v1/other").body(Body::empty()).unwrap();
    assert_eq!(ask(&Kept::default(), None, path).await.0, StatusCode::NOT_FOUND);
    let method = Request::get(INGEST_PATH).body(Body::empty()).unwrap();
    assert_eq!(ask(&Kept::default(), None, method).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn over_the_rate_or_without_room_the_answer_is_503_before_anything_is_read() {
    let store = Kept::default();
    let rate = IngestSettings { max_batches_per_second: Some(1), ..settings(None) };
    let ingest = Ingest::new(store.clone(), &rate, Metrics::default().ingest);
    let statuses = [
        answered(ingest.clone().router(), post(body(vec![event(1)]))).await.0,
        answered(ingest.clone().router(), post(body(vec![event(2)]))).await.0,
    ];
    assert_eq!(statuses, [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
    let narrow = IngestSettings { max_in_flight: 1 << 10, ..settings(None) };
    ingest.change(&narrow);
    let mut announced = post(body(vec![event(3)]));
    announced.headers_mut().insert(axum::http::header::CONTENT_LENGTH, (1 << 20).into());
    let (status, headers, answer) = answered(ingest.clone().router(), announced).await;
    assert_eq!((status, &headers[RETRY_AFTER]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
    assert!(decoded(answer).stored.is_empty());
}

#[tokio::test]
async fn a_new_token_is_asked_for_as_soon_as_it_is_set_and_a_socket_asks_for_none() {
    let ingest = Ingest::new(Kept::default(), &settings(Some("old")), Metrics::default().ingest);
    let bearing = |token: &str| {
        let mut request = post(body(vec![event(1)]));
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        request
    };
    assert_eq!(answered(ingest.clone().router(), bearing("old")).await.0, StatusCode::OK);
    ingest.change(&settings(Some("new")));
    assert_eq!(answered(ingest.clone().router(), bearing("old")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answered(ingest.clone().router(), bearing("new")).await.0, StatusCode::OK);
    assert_eq!(answered(ingest.open_router(), post(body(vec![event(1)]))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_event_that_no_filter_makes_is_refused_before_anything_is_built_of_it() {
    let kept = Kept::default();
    let bomb: Bytes = [event(1).to_vec(), [0x32, 0].repeat(3 << 20)].concat().into();
    let (status, _, answer) = ask(&kept, None, post(body(vec![event(2), bomb, event(3)]))).await;
    let answer = BatchAnswer::decode(answer).unwrap();
    assert_eq!((status, answer.stored), (StatusCode::OK, vec![2, 3]));
    let refused = vec![Refusal { position: 1, reason: "it has more than 64 attempts".to_owned() }];
    assert_eq!(answer.refused, refused);
    assert_eq!(kept.events.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_batch_of_more_events_or_attributes_than_it_may_hold_is_refused_before_it_is_decoded() {
    let attribute = EventBatch { resource: [("k".repeat(9), String::new())].into(), ..EventBatch::default() };
    for (field, words) in [
        ([0x12, 0].repeat(3 << 20), "a batch may hold 4096 events, this one holds 3145729"),
        (attribute.encode_to_vec().repeat(5000), "the batch cannot be taken: it has more than 4096 resource"),
    ] {
        let (status, _, told) =
            ask(&Kept::default(), None, post([body(vec![event(1)]), field].concat())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(String::from_utf8_lossy(&told).starts_with(words), "{told:?}");
    }
}

#[tokio::test]
async fn a_sequence_that_nobody_can_have_counted_to_is_refused() {
    let (_, _, answer) =
        ask(&Kept::default(), None, post(body(vec![event(u64::MAX), event(MAX_EVENTS)]))).await;
    let answer = BatchAnswer::decode(answer).unwrap();
    assert_eq!((answer.stored.clone(), answer.refused.len()), (vec![MAX_EVENTS], 1));
    assert!(answer.refused[0].reason.contains("higher than a source can have counted"), "{answer:?}");
}

/// An event as it is stored, where the capture policy `excludes` content or does not.
pub(crate) async fn stored_of(event: &TraceEvent, excludes: bool) -> Bytes {
    let (_policy, known) = watch::channel(Capture::Known { revision: 1, excludes });
    let store = Kept::default();
    let ingest = Ingest::new(store.clone(), &settings(None), Metrics::default().ingest).under(known);
    let (status, ..) = answered(ingest.router(), post(body(vec![event.encode_to_vec().into()]))).await;
    assert_eq!(status, StatusCode::OK);
    let (_, stored) = store.events.lock().unwrap().pop().unwrap();
    stored
}
