//! Renders the manifests for Istio and Envoy Gateway, and the plugin alone.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use weir_config::{envoy, envoy_gateway, istio};
use weir_filter::config::PluginConfig;

use super::check::read;
use crate::cli::{EnvoyGatewayArgs, IstioArgs, RoleArg};

/// Renders the manifests for Istio.
pub(crate) fn istio(args: IstioArgs) -> anyhow::Result<()> {
    let options = istio::Options {
        namespace: args.namespace,
        selector: args.selector.into_iter().collect(),
        hosts: args.host,
        image: args.image,
        sha256: args.sha256,
        gateway: args.gateway_name,
    };
    let gateway = read(&args.gateway)?;
    for lost in istio::lost(&gateway) {
        writeln!(io::stderr(), "lost: {lost}")?;
    }
    let rendered = istio::istio(&gateway, &options).with_context(|| args.gateway.display().to_string())?;
    io::stdout().write_all(rendered.as_bytes())?;
    Ok(())
}

/// Renders the manifests for Envoy Gateway.
pub(crate) fn envoy_gateway(args: EnvoyGatewayArgs) -> anyhow::Result<()> {
    let options = envoy_gateway::Options {
        namespace: args.namespace,
        gateway: args.gateway_name,
        image: args.image,
        sha256: args.sha256,
    };
    let rendered = envoy_gateway::envoy_gateway(&read(&args.gateway)?, &options)
        .with_context(|| args.gateway.display().to_string())?;
    io::stdout().write_all(rendered.as_bytes())?;
    Ok(())
}

/// Renders the plugin's JSON.
pub(crate) fn plugin(gateway: &Path, role: RoleArg) -> anyhow::Result<()> {
    let gateway = read(gateway)?;
    let plugin = match role {
        RoleArg::Downstream => gateway.plugin()?,
        RoleArg::Upstream => PluginConfig::attempt(),
    };
    writeln!(io::stdout(), "{:#}", envoy::plugin_json(&plugin))?;
    Ok(())
}
