//! Reading a request's body: at most so many bytes, within a deadline.
//!
//! A body that comes in one piece is not copied.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{StatusCode, header::CONTENT_LENGTH},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// How long a body may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is over the limit.
    #[error("the body is over {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It took too long.
    #[error("the body did not come within {} s", DEADLINE.as_secs())]
    TooSlow,
    /// The connection broke.
    #[error("the body broke off")]
    Broken,
}

impl BodyError {
    /// The status that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// How many bytes a body is said to have.
pub(crate) fn announced(request: &Request) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, BodyError> {
    let announced = announced(&request).unwrap_or_default();
    if announced > limit {
        return Err(BodyError::TooLarge { limit });
    }
    timeout(DEADLINE, collect(request, announced, limit)).await.map_err(|_| BodyError::TooSlow)?
}

async fn collect(request: Request, announced: usize, limit: usize) -> Result<Bytes, BodyError> {
    let mut chunks = request.into_body().into_data_stream();
    let Some(first) = chunks.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|_| BodyError::Broken)?;
    if first.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    if announced > 0 && first.len() == announced {
        return Ok(first);
    }
    let mut body = BytesMut::with_capacity(announced.max(first.len()));
    body.extend_from_slice(&first);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
