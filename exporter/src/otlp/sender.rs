//! Posting to one endpoint, over HTTP or gRPC.

use bytes::Bytes;
use tracing::warn;

use super::{
    error::OtlpError,
    grpc, http,
    outcome::{Heard, Outcome, Signal},
};
use crate::{
    config::wire::{Compression, Protocol},
    destination::{OtlpSettings, shown, travels_in_the_clear},
};

/// Posts to one endpoint.
#[derive(Clone, Debug)]
pub struct OtlpSender {
    settings: OtlpSettings,
    wire: Wire,
}

#[derive(Clone, Debug)]
enum Wire {
    Http(http::Http),
    Grpc(Box<grpc::Grpc>),
}

impl OtlpSender {
    /// A sender for this endpoint. Over HTTP the settings' URL says which signal, whole.
    pub fn new(settings: OtlpSettings, signal: Signal) -> Result<Self, OtlpError> {
        if travels_in_the_clear(&settings.url) && !settings.headers.is_empty() {
            warn!(url = shown(&settings.url), "the key goes over plain http to another machine: use https");
        }
        let wire = match settings.protocol {
            Protocol::Grpc => Wire::Grpc(Box::new(grpc::Grpc::new(&settings, signal)?)),
            Protocol::HttpProtobuf | Protocol::HttpJson => Wire::Http(http::Http::new(&settings)?),
        };
        Ok(Self { settings, wire })
    }

    /// How a body is to be compressed before it is given to [`Self::post`]; gRPC compresses by itself.
    pub fn compression(&self) -> Compression {
        match self.wire {
            Wire::Http(_) => self.settings.compression,
            Wire::Grpc(_) => Compression::None,
        }
    }

    /// The same as [`Self::post`], with at most so many bytes of what came back.
    pub async fn probe(&self, body: Bytes, most: usize) -> Heard {
        match &self.wire {
            Wire::Http(http) => http.probe(&self.settings, body, most).await,
            Wire::Grpc(grpc) => grpc.probe(&self.settings, body, most).await,
        }
    }

    /// Posts an encoded request once, within the timeout.
    pub async fn post(&self, body: Bytes) -> Outcome {
        match &self.wire {
            Wire::Http(http) => http.post(&self.settings, body).await,
            Wire::Grpc(grpc) => grpc.post(&self.settings, body).await,
        }
    }
}
