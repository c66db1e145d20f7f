//! OTLP messages as they come on the wire.

use std::io::Read;

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use flate2::read::GzDecoder;
use prost::Message;
use serde::de::DeserializeOwned;

/// The body without gRPC's frame (1 byte: compressed, 4 bytes: length) and compression, and the message in it;
/// `None` where it is not OTLP of this media type.
pub(super) fn decode<M>(kind: &str, headers: &HeaderMap, raw: &Bytes) -> Option<(Bytes, M)>
where
    M: Message + Default + DeserializeOwned,
{
    let (zipped, framed) = match (kind, headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes)) {
        ("application/grpc", _) => (raw.first() == Some(&1), raw.get(5..).map(|body| raw.slice_ref(body))?),
        (_, Some(b"gzip")) => (true, raw.clone()),
        (_, None) => (false, raw.clone()),
        (_, Some(_)) => return None,
    };
    let body = if zipped {
        let mut body = Vec::new();
        GzDecoder::new(framed.as_ref()).read_to_end(&mut body).ok()?;
        body.into()
    } else {
        framed
    };
    let message = match kind {
        "application/json" => serde_json::from_slice(&body).ok()?,
        _ => M::decode(body.clone()).ok()?,
    };
    Some((body, message))
}
