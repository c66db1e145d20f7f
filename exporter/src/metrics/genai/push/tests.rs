use std::{io::Read as _, sync::Mutex};

use axum::{Router, http::StatusCode, routing::post};
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{HistogramDataPoint, metric::Data},
};
use prost::Message as _;
use reqwest::{Url, header::HeaderMap};
use tokio::net::TcpListener;

use super::*;
use crate::{
    config::wire::{Compression, Protocol},
    destination::{ClientTls, OtlpSettings},
    metrics::Metrics,
    spans::fixture::streamed,
};

type Requests = Arc<Mutex<Vec<ExportMetricsServiceRequest>>>;

/// An endpoint that answers with these statuses, then with 200, and the pushes that it took.
async fn endpoint(statuses: &[u16]) -> (PushSettings, Requests) {
    crate::process::install_provider();
    let taken = Requests::default();
    let (record, script) = (Arc::clone(&taken), Mutex::new(statuses.to_vec()));
    let script = Arc::new(script);
    let handler = post(move |body: Bytes| {
        let (record, script) = (Arc::clone(&record), Arc::clone(&script));
        async move {
            let mut script = script.lock().unwrap();
            if !script.is_empty() {
                return StatusCode::from_u16(script.remove(0)).unwrap();
            }
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(body.as_ref()).read_to_end(&mut plain).unwrap();
            let request = ExportMetricsServiceRequest::decode(plain.as_slice()).unwrap();
            record.lock().unwrap().push(request);
            StatusCode::OK
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/v1/metrics", listener.local_addr().unwrap())).unwrap();
    let router = Router::new().route("/v1/metrics", handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = PushSettings {
        name: "otlp".into(),
        otlp: to(url),
        resource: Attributes::from([("service.name".to_owned(), "svc".to_owned())]),
        interval: Duration::from_secs(3600),
        delta: false,
    };
    (settings, taken)
}

fn to(url: Url) -> OtlpSettings {
    OtlpSettings {
        url,
        protocol: Protocol::HttpProtobuf,
        headers: HeaderMap::new(),
        compression: Compression::Gzip,
        timeout: Duration::from_secs(5),
        tls: ClientTls::default(),
        proxy: false,
        retry_server_errors: true,
        guard: None,
    }
}

/// The endpoints of a process that has counted this.
fn pushes(counts: &Arc<GenAi>) -> Pushes {
    Pushes::new(Arc::clone(counts), Metrics::default().counting)
}

fn push(endpoint: PushSettings, counts: &Arc<GenAi>, delta: bool) -> MetricsPush {
    MetricsPush::new(PushSettings { delta, ..endpoint }, &pushes(counts)).unwrap()
}

fn counts() -> Arc<GenAi> {
    Arc::new(GenAi::new(SystemTime::now() - Duration::from_secs(5)))
}

fn count(counts: &GenAi, sequence: u64) {
    let mut event = streamed();
    event.sequence = sequence;
    counts.count(&event);
}

/// The one point of the durations in each push.
fn durations(taken: &Requests) -> Vec<HistogramDataPoint> {
    let of = |request: &ExportMetricsServiceRequest| {
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let metric = metrics.iter().find(|metric| metric.name == "gen_ai.client.operation.duration").unwrap();
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!() };
        let [point] = &histogram.data_points[..] else { panic!() };
        point.clone()
    };
    taken.lock().unwrap().iter().map(of).collect()
}

fn instance(taken: &Requests, push: usize) -> String {
    let resource = taken.lock().unwrap()[push].resource_metrics[0].resource.clone().unwrap();
    let found = resource.attributes.iter().find(|pair| pair.key == INSTANCE_ID).unwrap();
    format!("{:?}", found.value)
}

#[tokio::test]
async fn a_push_that_failed_is_made_good_by_the_next() {
    let (endpoint, taken) = endpoint(&[503, 404]).await;
    let counts = counts();
    let mut push = push(endpoint, &counts, false);
    push.push().await;
    count(&counts, 1);
    push.push().await;
    push.push().await;
    assert!(durations(&taken).is_empty());
    count(&counts, 2);
    push.push().await;
    count(&counts, 3);
    push.push().await;
    let found = durations(&taken);
    assert_eq!(found.iter().map(|point| point.count).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(found[0].start_time_unix_nano, found[1].start_time_unix_nano);
    assert!(found[0].time_unix_nano < found[1].time_unix_nano);
    assert_eq!(instance(&taken, 0), instance(&taken, 1));
}

#[tokio::test]
async fn a_delta_holds_what_came_since_the_last_push_that_was_taken() {
    let (endpoint, taken) = endpoint(&[]).await;
    let counts = counts();
    let mut push = push(endpoint.clone(), &counts, true);
    count(&counts, 1);
    push.push().await;
    push.push().await;
    assert_eq!(durations(&taken).len(), 1, "what says nothing new is not sent");
    let away = push.sender.clone();
    let nowhere = to(Url::parse("http://127.0.0.1:1/v1/metrics").unwrap());
    push.sender = OtlpSender::new(nowhere, Signal::Metrics).unwrap();
    count(&counts, 2);
    push.push().await;
    push.sender = away;
    count(&counts, 3);
    push.push().await;
    let found = durations(&taken);
    assert_eq!(found.iter().map(|point| point.count).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(found[1].start_time_unix_nano, found[0].time_unix_nano);
}

#[tokio::test]
async fn the_end_brings_a_last_push_and_nothing_where_nothing_was_counted() {
    let (endpoint, taken) = endpoint(&[]).await;
    let (counts, stop) = (counts(), CancellationToken::new());
    stop.cancel();
    push(endpoint.clone(), &counts, false).run(stop.clone()).await;
    assert!(taken.lock().unwrap().is_empty());
    count(&counts, 1);
    push(endpoint.clone(), &counts, false).run(stop.clone()).await;
    push(endpoint, &counts, false).run(stop).await;
    assert_eq!(durations(&taken).len(), 2);
    assert_ne!(instance(&taken, 0), instance(&taken, 1), "each process has its own");
}

#[tokio::test]
async fn a_reload_says_nothing_twice_and_leaves_alone_what_stays() {
    let ((old, taken), (other, elsewhere)) = (endpoint(&[]).await, endpoint(&[]).await);
    let (old, other) = (PushSettings { delta: true, ..old }, PushSettings { name: "other".into(), ..other });
    let counts = counts();
    let pushes = pushes(&counts);
    pushes.run(vec![old.clone(), other.clone()]).await.unwrap();
    count(&counts, 1);
    // Once more to what changes, and then by its new settings.
    let changed = PushSettings { interval: Duration::from_secs(1800), ..old };
    pushes.run(vec![changed, other]).await.unwrap();
    assert_eq!((durations(&taken).len(), durations(&elsewhere).len()), (1, 0));
    count(&counts, 2);
    pushes.stop().await;
    let counted = |taken| durations(taken).iter().map(|point| point.count).collect::<Vec<_>>();
    assert_eq!((counted(&taken), counted(&elsewhere)), (vec![1, 1], vec![2]));
    assert_eq!(instance(&taken, 1), instance(&elsewhere, 0));
    pushes.run(Vec::new()).await.unwrap();
    assert_eq!(durations(&taken).len(), 2, "what was stopped is not pushed to again");
}

#[test]
fn an_instance_is_named_by_a_random_uuid() {
    let id = instance_id();
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    let digit = |place: usize| id.as_bytes()[place] as char;
    assert_eq!(digit(14), '4');
    assert!("89ab".contains(digit(19)), "{id}");
    assert_ne!(id, instance_id());
}
