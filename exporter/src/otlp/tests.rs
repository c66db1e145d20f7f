use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response as Answer},
    routing::post,
};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use reqwest::{Url, header::HeaderValue};
use tokio::net::TcpListener;

use super::{
    limits::{MAX_RESPONSE, USER_AGENT},
    *,
};
use crate::{
    config::wire::{Compression, Protocol},
    destination::{ClientTls, OtlpSettings},
};

/// A sender to an endpoint that answers every POST like this.
async fn sender<F>(answer: F) -> OtlpSender
where
    F: Fn(HeaderMap, String) -> Answer + Clone + Send + Sync + 'static,
{
    crate::process::install_provider();
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
    crate::process::install_provider();
    let mut key = HeaderValue::from_static("raw-key");
    key.set_sensitive(true);
    let settings = OtlpSettings {
        url: Url::parse(url).unwrap(),
        protocol: Protocol::HttpProtobuf,
        headers: HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, key)]),
        compression: Compression::Gzip,
        timeout: Duration::from_secs(5),
        tls: ClientTls::default(),
        proxy: false,
        retry_server_errors: true,
        guard: None,
    };
    OtlpSender::new(settings, Signal::Traces).unwrap()
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

#[tokio::test]
async fn a_post_carries_what_the_specification_and_the_destination_ask_for() {
    let sender = sender(|headers, path| {
        let right = path == "/v1/traces"
            && headers["authorization"] == "raw-key"
            && headers["content-type"] == "application/x-protobuf"
            && headers["content-encoding"] == "gzip"
            && headers["user-agent"] == USER_AGENT;
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
    assert_eq!(outcome(200, &[], vec![0; 10 * MAX_RESPONSE]).await, Outcome::Delivered { rejected: 0 });
}

#[tokio::test]
async fn a_busy_endpoint_is_left_alone_for_as_long_as_it_asks() {
    let busy = outcome(503, &[("retry-after", "7")], Vec::new()).await;
    assert_eq!(busy, Outcome::Retry { after: Some(Duration::from_secs(7)), reason: "HTTP 503".to_owned() });
}

#[tokio::test]
async fn a_body_that_is_refused_is_told_from_a_setting_that_is_wrong() {
    assert_eq!(outcome(400, &[], Vec::new()).await, Outcome::Refused { reason: "HTTP 400".to_owned() });
    assert_eq!(outcome(401, &[], Vec::new()).await, Outcome::Misconfigured { reason: "HTTP 401".to_owned() });
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
