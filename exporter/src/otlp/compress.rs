//! Compressing what is posted.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};

use crate::config::wire::Compression;

/// Why spans could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A span is no JSON.
    #[error("a span cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The compressor failed.
    #[error("a body cannot be compressed")]
    Gzip(#[from] std::io::Error),
}

/// Compresses a body. [`EncodeError::Gzip`] does not happen when writing to memory.
pub fn compress(body: Vec<u8>, compression: Compression) -> Result<Bytes, EncodeError> {
    match compression {
        Compression::None => Ok(body.into()),
        Compression::Gzip => gzip(&[body]),
    }
}

/// Parts as one gzip member, at the fastest level: what a higher one would save costs several times the time.
pub(crate) fn gzip<T: AsRef<[u8]>>(parts: &[T]) -> Result<Bytes, EncodeError> {
    let length: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut encoder = GzEncoder::new(Vec::with_capacity(length / 4), Level::fast());
    for part in parts {
        encoder.write_all(part.as_ref())?;
    }
    Ok(encoder.finish()?.into())
}
