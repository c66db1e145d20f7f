//! How a fake OTLP endpoint answers, over HTTP and over gRPC.

use std::{
    io,
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use crate::fakes::server::Cut;

/// How one request is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reply {
    /// With success.
    #[default]
    Take,
    /// With this status and these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// With this status and the time, by this machine's clock, at which to come again.
    RetryIn(u16, Duration),
    /// With success, and so many spans rejected.
    Partial(i64),
    /// With success, and a body that is no OTLP.
    Garbage,
    /// Not with HTTP at all: the connection breaks.
    Cut,
    /// The same, though the events were taken.
    TakeAndCut,
    /// Never.
    Nothing,
    /// With success, and a body that breaks off.
    Half,
    /// With a redirect to a place that would take it.
    Redirect,
    /// With success, and a body of 100 MB.
    Huge,
}

impl Reply {
    /// A status without headers.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new())
    }

    pub(super) fn takes(&self) -> bool {
        matches!(
            self,
            Self::Take | Self::TakeAndCut | Self::Partial(_) | Self::Garbage | Self::Half | Self::Huge
        )
    }

    /// The status that it comes to; 200 of all that are not one.
    pub(super) fn code(&self) -> u16 {
        if let Self::Status(status, _) | Self::RetryIn(status, _) = self { *status } else { 200 }
    }

    /// The response to a request of this media type.
    pub(super) async fn send(self, cut: &Cut, kind: &str) -> Response {
        if kind == "application/grpc" { grpc(self, cut).await } else { http(self, cut, kind).await }
    }
}

async fn http(reply: Reply, cut: &Cut, kind: &str) -> Response {
    let typed = |body: Body| ([(header::CONTENT_TYPE, kind.to_owned())], body).into_response();
    match reply {
        Reply::Take if kind == "application/json" => typed("{}".into()),
        Reply::Take => typed(Body::empty()),
        Reply::Partial(rejected) if kind == "application/json" => {
            typed(format!(r#"{{"partialSuccess":{{"rejectedSpans":"{rejected}"}}}}"#).into())
        }
        Reply::Partial(rejected) => typed(partial(rejected).into()),
        Reply::Garbage => typed("\u{fffd}<html>{{{".into()),
        Reply::Status(status, headers) => {
            let mut response = StatusCode::from_u16(status).expect("a status").into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a header"));
            }
            response
        }
        Reply::RetryIn(status, pause) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let date = httpdate::fmt_http_date(SystemTime::now() + pause);
            (status, [(header::RETRY_AFTER, date)]).into_response()
        }
        Reply::Redirect => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response()
        }
        Reply::Half => {
            let parts = [Ok(Bytes::from_static(b"\x0a\x10")), Err(io::Error::other("half"))];
            let mut response = typed(Body::from_stream(stream::iter(parts)));
            response.headers_mut().insert(header::CONTENT_LENGTH, 4096.into());
            response
        }
        Reply::Huge => {
            let part = Bytes::from(vec![0; 1 << 20]);
            typed(Body::from_stream(stream::iter((0..100).map(move |_| io::Result::Ok(part.clone())))))
        }
        Reply::Cut | Reply::TakeAndCut => {
            cut.now().await;
            StatusCode::OK.into_response()
        }
        Reply::Nothing => std::future::pending().await,
    }
}

/// Over gRPC a status is its code.
async fn grpc(reply: Reply, cut: &Cut) -> Response {
    let head = |code: u16| {
        let code = code.to_string();
        ([(header::CONTENT_TYPE.as_str(), "application/grpc"), ("grpc-status", code.as_str())], Body::empty())
            .into_response()
    };
    let message = match reply {
        Reply::Take => Vec::new(),
        Reply::Partial(rejected) => partial(rejected),
        Reply::Status(code, _) => return head(code),
        Reply::Cut | Reply::TakeAndCut => {
            cut.now().await;
            return head(2);
        }
        other => panic!("{other:?} is no answer over gRPC"),
    };
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [Frame::data(frame.freeze()), Frame::trailers(trailers)].map(io::Result::Ok);
    let body = Body::new(StreamBody::new(stream::iter(frames)));
    ([(header::CONTENT_TYPE, "application/grpc")], body).into_response()
}

fn partial(rejected: i64) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "no".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}
