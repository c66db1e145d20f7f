use std::io::Read as _;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response as Answer},
    routing::post,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest,
};
use reqwest::{Url, header::HeaderValue};
use tokio::net::TcpListener;

use super::*;

fn install_provider() {
    // Fails only where another test has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A sender to an endpoint that answers every POST like this.
async fn sender<F>(answer: F) -> OtlpSender
where
    F: Fn(HeaderMap, String) -> Answer + Clone + Send + Sync + 'static,
{
    install_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = post(move |request: Request| {
        let answer = answer.clone();
        async move { answer(request.headers().clone(), request.uri().path().to_owned()) }
    });
    let router = Router::new().fallback_service(handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    to(&format!("http://{address}/v1/traces"))
}

fn to(url: &str) -> OtlpSender {
    install_provider();
    let mut key = HeaderValue::from_static("raw-key");
    key.set_sensitive(true);
    let headers = HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, key)]);
    OtlpSender::new(OtlpSettings { url: Url::parse(url).unwrap(), headers }).unwrap()
}

async fn outcome(status: u16, headers: &'static [(&'static str, &'static str)], body: Vec<u8>) -> Outcome {
    let sender = sender(move |_, _| {
        let mut answer = (StatusCode::from_u16(status).unwrap(), body.clone()).into_response();
        for (name, value) in headers {
            answer.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        answer
    });
    sender.await.post(Bytes::from_static(b"body")).await
}

#[test]
fn a_request_is_gzipped_protobuf() {
    let request = crate::spans::request(&[("service.name", "svc".to_owned())], Vec::new());
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(encode(&request).unwrap().as_ref()).read_to_end(&mut plain).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(plain.as_slice()).unwrap(), request);
}

#[test]
fn rejected_spans_are_read_from_a_success_and_nothing_else() {
    let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "no".to_owned() };
    let response = ExportTraceServiceResponse { partial_success: Some(partial) };
    assert_eq!(rejected(&response.encode_to_vec().into()), 3);
    for body in [&b""[..], b"{}", b"ok", b"\xff\xff"] {
        assert_eq!(rejected(&Bytes::from_static(body)), 0);
    }
}

#[tokio::test]
async fn a_post_carries_what_the_specification_and_the_destination_ask_for() {
    let sender = sender(|headers, path| {
        let agent = concat!("weir-exporter/", env!("CARGO_PKG_VERSION"));
        let right = path == "/v1/traces"
            && headers["authorization"] == "raw-key"
            && headers["content-type"] == PROTOBUF
            && headers["content-encoding"] == "gzip"
            && headers["user-agent"] == agent;
        if right { StatusCode::OK } else { StatusCode::BAD_REQUEST }.into_response()
    });
    assert_eq!(sender.await.post(Bytes::new()).await, Outcome::Delivered { rejected: 0 });
}

#[tokio::test]
async fn a_partial_success_is_delivered_and_its_rejections_counted() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: String::new() };
    let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    assert_eq!(outcome(200, &[], body).await, Outcome::Delivered { rejected: 2 });
}

#[tokio::test]
async fn a_success_with_an_answer_over_the_cap_is_a_success() {
    assert_eq!(outcome(200, &[], vec![0; 10 * MAX_ANSWER]).await, Outcome::Delivered { rejected: 0 });
}

#[tokio::test]
async fn a_busy_endpoint_is_left_alone_for_as_long_as_it_asks() {
    let busy = outcome(503, &[("retry-after", "7")], Vec::new()).await;
    assert_eq!(busy, Outcome::Retry { after: Some(Duration::from_secs(7)), reason: "HTTP 503".to_owned() });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let sender = sender(|_, path| match path.as_str() {
        "/v1/traces" => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/elsewhere")]).into_response(),
        _ => StatusCode::OK.into_response(),
    });
    let outcome = sender.await.post(Bytes::new()).await;
    assert_eq!(outcome, Outcome::Misconfigured { reason: "HTTP 307".to_owned() });
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = to(&format!("http://{free}/v1/traces")).post(Bytes::new()).await;
    assert!(matches!(&outcome, Outcome::Retry { reason, .. } if reason.contains("refused")), "{outcome:?}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_tls_is_a_setting_to_change() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new()).await });
    let outcome = to(&format!("https://{address}/v1/traces")).post(Bytes::new()).await;
    assert!(
        matches!(&outcome, Outcome::Misconfigured { reason } if reason.starts_with("TLS")),
        "{outcome:?}"
    );
}

#[test]
fn no_key_is_shown_by_debug() {
    let shown = format!("{:?}", to("https://h/v1/traces?key=raw-key"));
    assert!(!shown.contains("raw-key"), "{shown}");
}
