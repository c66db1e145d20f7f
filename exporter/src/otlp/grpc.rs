//! OTLP/gRPC: bodies that are encoded already, sent as they are.
//!
//! Codes are classed as the specification says ("OTLP/gRPC Response"), except that INTERNAL and UNKNOWN are
//! retried too, like a passing 500 over HTTP.

use std::{str::FromStr as _, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes};
use hyper_util::client::{
    legacy::connect::{HttpConnector, dns::Name, proxy::Tunnel},
    proxy::matcher::Matcher,
};
use prost::Message;
use tokio::time::timeout;
use tonic::{
    Code, Request, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    classify::{self, MAX_RETRY_AFTER},
    error::OtlpError,
    http::rejected,
    limits::{CONNECT_DEADLINE, USER_AGENT},
    outcome::{Heard, Outcome, Signal},
    words,
};
use crate::{
    config::wire::Compression,
    destination::{Guarded, OtlpSettings, shown},
};

/// How often an idle connection is asked whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The largest body that is sent.
const MAX_BODY: usize = 256 << 20;

/// Where a server says how long to wait.
const RETRY_INFO: &str = "google.rpc.RetryInfo";

/// A channel with what goes along.
#[derive(Clone, Debug)]
pub(super) struct Grpc {
    channel: Channel,
    metadata: MetadataMap,
    method: &'static str,
}

impl Grpc {
    pub(super) fn new(settings: &OtlpSettings, signal: Signal) -> Result<Self, OtlpError> {
        let failed = |source| OtlpError::Grpc { url: shown(&settings.url), source };
        let mut endpoint = Endpoint::from_shared(settings.url.to_string())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(failed)?
            .connect_timeout(CONNECT_DEADLINE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL);
        if settings.url.scheme() == "https" {
            let tls = match &settings.tls.ca {
                Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            let tls = match &settings.tls.identity {
                Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key.expose())),
                None => tls,
            };
            endpoint = endpoint.tls_config(tls).map_err(failed)?;
        }
        let mut metadata = MetadataMap::new();
        for (name, value) in &settings.headers {
            let refused = || OtlpError::Header { name: name.to_string() };
            let key = AsciiMetadataKey::from_str(name.as_str()).map_err(|_| refused())?;
            let mut value = AsciiMetadataValue::try_from(value.as_bytes()).map_err(|_| refused())?;
            value.set_sensitive(true);
            metadata.insert(key, value);
        }
        let channel = if let Some(proxy) = proxy(settings) {
            endpoint.connect_with_connector_lazy(proxy)
        } else if let Some(guard) = settings.guard {
            let guarded = Guarded::to(guard, &settings.url);
            let mut connector =
                HttpConnector::new_with_resolver(tower::service_fn(move |name: Name| async move {
                    guarded.resolve(name.as_str()).await.map(Vec::into_iter)
                }));
            connector.enforce_http(false);
            connector.set_nodelay(true);
            endpoint.connect_with_connector_lazy(connector)
        } else {
            endpoint.connect_lazy()
        };
        Ok(Self { channel, metadata, method: signal.method() })
    }

    pub(super) async fn post(&self, settings: &OtlpSettings, body: Bytes) -> Outcome {
        self.probe(settings, body, 0).await.outcome
    }

    /// Posts; returns the response with the outcome.
    pub(super) async fn probe(&self, settings: &OtlpSettings, body: Bytes, most: usize) -> Heard {
        let sent = timeout(settings.timeout, self.send(settings, body)).await;
        let (outcome, said) = match sent {
            Ok(Ok(answer)) => (Outcome::Delivered { rejected: rejected(&answer) }, None),
            Ok(Err(status)) => {
                let said = words::said(status.message().as_bytes(), &settings.headers, most);
                (refused(&status), said)
            }
            Err(_) => (Outcome::Unanswered { reason: "no answer in time".to_owned() }, None),
        };
        Heard { outcome, status: None, said }
    }

    async fn send(&self, settings: &OtlpSettings, body: Bytes) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone()).max_encoding_message_size(MAX_BODY);
        if settings.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        client = client.accept_compressed(CompressionEncoding::Gzip);
        client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        let mut request = Request::new(body);
        *request.metadata_mut() = self.metadata.clone();
        let path = http::uri::PathAndQuery::from_static(self.method);
        client.unary(request, path, Raw).await.map(tonic::Response::into_inner)
    }
}

/// The way through the environment's HTTP proxy, where there is one for this endpoint.
fn proxy(settings: &OtlpSettings) -> Option<Tunnel<HttpConnector>> {
    let endpoint: http::Uri = settings.url.as_str().parse().ok().filter(|_| settings.proxy)?;
    let proxy = Matcher::from_env().intercept(&endpoint)?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let tunnel = Tunnel::new(proxy.uri().clone(), connector);
    Some(match proxy.basic_auth() {
        Some(credentials) => tunnel.with_auth(credentials.clone()),
        None => tunnel,
    })
}

/// What a status means. Its message may repeat what was sent, so it is not logged.
fn refused(status: &Status) -> Outcome {
    if let Some(tls) = classify::tls_error(status) {
        return Outcome::Misconfigured { reason: format!("TLS: {tls}") };
    }
    let reason = format!("gRPC {:?}", status.code());
    match status.code() {
        Code::Ok => Outcome::Delivered { rejected: 0 },
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => {
            Outcome::Misconfigured { reason }
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => Outcome::Refused { reason },
        // A server that is given more than it takes says so by this code, and by its message alone.
        Code::ResourceExhausted if status.message().contains("larger than max") => {
            Outcome::Refused { reason }
        }
        Code::OutOfRange if status.message().contains("too large") => Outcome::Refused { reason },
        // What the transport says, not the server.
        _ if std::error::Error::source(status).is_some() && !classify::is_refused(status) => {
            Outcome::Unanswered { reason }
        }
        _ => Outcome::Retry { after: retry_delay(status.details()), reason },
    }
}

/// `google.rpc.Status`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_delay(details: &[u8]) -> Option<Duration> {
    let details = Details::decode(details).ok()?.details;
    let info = details.iter().take(16).find(|any| any.type_url.ends_with(RETRY_INFO))?;
    let delay = RetryInfo::decode(info.value.clone()).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    let nanos = u32::try_from(delay.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos).min(MAX_RETRY_AFTER))
}

/// Bytes as they are.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let remaining = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(remaining)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_specification_says() {
        let meaning = |code| refused(&Status::new(code, "s3cret"));
        for code in
            [Code::Unavailable, Code::Aborted, Code::DataLoss, Code::Cancelled, Code::Internal, Code::Unknown]
        {
            assert!(matches!(meaning(code), Outcome::Retry { after: None, .. }), "{code:?}");
        }
        for code in [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented] {
            assert!(matches!(meaning(code), Outcome::Misconfigured { .. }), "{code:?}");
        }
        assert!(matches!(meaning(Code::InvalidArgument), Outcome::Refused { .. }));
        assert!(matches!(meaning(Code::ResourceExhausted), Outcome::Retry { .. }));
        let large = Status::resource_exhausted("grpc: received message larger than max (9 vs. 4)");
        assert!(matches!(refused(&large), Outcome::Refused { .. }));
        assert!(!format!("{:?}", meaning(Code::Internal)).contains("s3cret"));
    }

    #[test]
    fn a_server_says_how_long_to_wait() {
        let details = |seconds, nanos| {
            let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
            let any = Any {
                type_url: format!("type.googleapis.com/{RETRY_INFO}"),
                value: info.encode_to_vec().into(),
            };
            Details { details: vec![any] }.encode_to_vec()
        };
        assert_eq!(retry_delay(&details(2, 500_000_000)), Some(Duration::from_millis(2500)));
        assert_eq!(retry_delay(&details(i64::MAX, 0)), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_delay(&details(-1, 0)), None);
        assert_eq!(retry_delay(b"\xff"), None);
    }
}
