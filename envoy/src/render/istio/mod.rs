//! Renders a gateway for Istio: the manifests that make an Istio gateway a Weir ([`routing`]), or those that
//! have sidecars or a gateway observe ([`observe`]).

mod filter;
mod keys;
mod observe;
mod options;
mod resource;
mod routing;

pub use self::options::Options;
pub use super::manifest::ManifestError;
use super::manifest::{check_image, yaml};
use crate::gateway::Gateway;

/// The manifests, separated by `---`, for `kubectl apply -f -`.
pub fn istio(gateway: &Gateway, options: &Options) -> Result<String, ManifestError> {
    check_image(&options.image, &options.sha256)?;
    if gateway.observes() {
        return yaml(&observe::documents(gateway, options)?);
    }
    routing::check(gateway, options)?;
    yaml(&routing::documents(gateway, options)?)
}

/// What a gateway asks for and Istio's manifests leave out, one sentence each.
pub fn lost(gateway: &Gateway) -> Vec<String> {
    let with_backoff = gateway.models.iter().filter(|(_, model)| model.retry.backoff.is_some());
    with_backoff
        .map(|(name, _)| {
            format!("models.{name}.retry.backoff: the one route of Istio's has one pause, the usual 25ms")
        })
        .collect()
}
