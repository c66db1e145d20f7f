//! Why a sender could not be made.

/// Why a sender could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The HTTP client could not be set up, its trust anchors for instance.
    #[error("cannot set up the HTTP client for {url}")]
    Client {
        /// Where it was to post.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The gRPC client could not be set up.
    #[error("cannot set up the gRPC client for {url}")]
    Grpc {
        /// Where it was to post.
        url: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// A header cannot be sent over gRPC.
    #[error("the header {name} cannot be sent over gRPC")]
    Header {
        /// The header.
        name: String,
    },
}
