//! The process's provider of cryptography.

/// Makes ring the process's provider of cryptography; one that is there already is as good.
pub fn install_provider() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a cryptography provider is installed already");
    }
}
