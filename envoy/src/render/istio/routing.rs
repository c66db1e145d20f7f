//! The manifests that make an Istio gateway a Weir.
//!
//! Istio's WasmPlugin has no field for stop-iteration, and an EnvoyFilter cannot change what a
//! WasmPlugin became; without it a filter that holds a request's headers never sees its body. So the
//! filter comes by EnvoyFilter, as an extension configuration whose `oci://` URL Istio's agent fetches
//! just as it does a WasmPlugin's. Providers are ServiceEntries; each has a subset of its own, and so a
//! cluster of its own, even where two share a host. Keys are files of one Secret, which the pod mounts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_filter::api::endpoint::Endpoint;

use super::filter::{EXPORTER_SUBSET, extensions, gateway_filter};
use super::keys::{keys, sds};
use super::options::Options;
use super::resource::{NETWORKING, host_name, in_registry, object, outside, tls};
use crate::gateway::{Error, Gateway, Provider};
use crate::render::envoy::{CIRCUIT_BREAKER_MAX, routes};
use crate::render::manifest::ManifestError;
use crate::yaml::set;

/// One subset of a host: its name, where it leads, and the provider that it is of, if it is of one.
type Subset<'a> = (&'a str, &'a Endpoint, Option<&'a Provider>);

/// Refuses options and fields without an equal in Istio.
pub(crate) fn check(gateway: &Gateway, options: &Options) -> Result<(), ManifestError> {
    if options.gateway.is_some() {
        let message = "is for `mode: observe`; where requests are routed, the gateway is named by its labels";
        return Err(ManifestError::Option { option: "--gateway-name", message: message.to_owned() });
    }
    let field =
        |field: String, message: &str| Err(ManifestError::Field { field, message: message.to_owned() });
    for (name, provider) in &gateway.providers {
        if provider.proxy.is_some() {
            return field(
                format!("providers.{name}.proxy"),
                "has no equal here: in a mesh the way out is an egress gateway's; leave it out",
            );
        }
        if subset(name).is_none() {
            let message =
                "becomes the name of a subset in Istio: lowercase letters, digits and '-' only, at most 63";
            return field(format!("providers.{name}"), message);
        }
    }
    if gateway.jwt.is_some() {
        return field("jwt".to_owned(), "has no equal here yet; use keys");
    }
    if gateway.tls.is_some() {
        return field(
            "tls".to_owned(),
            "is for Envoy's own listener; here the Gateway's `tls` and its credentialName say it",
        );
    }
    if gateway.hash_key().is_some() {
        return field(
            "redaction.hash_key".to_owned(),
            "needs a variable of the proxy's environment that is not rendered here; use another replacement",
        );
    }
    Ok(())
}

/// A provider's name as that of a subset (RFC 1123 label); nothing where it is none.
fn subset(name: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (name.len() <= 63 && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-'))
        .then_some(name)
}

/// Istio's name of the cluster of a host's subset.
fn cluster_name(subset: &str, endpoint: &Endpoint) -> String {
    format!("outbound|{}|{subset}|{}", endpoint.port, endpoint.host)
}

/// The manifests of a gateway that routes.
pub(crate) fn documents(gateway: &Gateway, options: &Options) -> Result<Vec<Value>, ManifestError> {
    let mut endpoints = BTreeMap::new();
    for (name, provider) in &gateway.providers {
        let endpoint = provider.endpoint(&format!("providers.{name}")).map_err(Error::from)?;
        endpoints.insert(name.as_str(), in_registry(endpoint));
    }
    let exporter = match &gateway.exporter {
        Some(exporter) => Some(in_registry(exporter.endpoint().map_err(Error::from)?)),
        None => None,
    };
    let mut plugin = gateway.plugin().map_err(Error::from)?;
    for (name, provider) in &mut plugin.providers {
        provider.cluster = endpoints.get(name.as_str()).map(|endpoint| cluster_name(name, endpoint));
    }
    if let (Some(ours), Some(endpoint)) = (&mut plugin.exporter, &exporter) {
        ours.cluster = cluster_name(EXPORTER_SUBSET, endpoint);
    }

    let mut documents = vec![
        keys(gateway, options),
        sds(gateway, options)?,
        listener(options),
        virtual_service(options, &endpoints),
    ];
    let mut hosts: BTreeMap<(&str, u16), Vec<Subset<'_>>> = BTreeMap::new();
    for (name, endpoint) in &endpoints {
        hosts.entry((&endpoint.host, endpoint.port)).or_default().push((
            name,
            endpoint,
            gateway.providers.get(*name),
        ));
    }
    if let Some(endpoint) = &exporter {
        hosts.entry((&endpoint.host, endpoint.port)).or_default().push((EXPORTER_SUBSET, endpoint, None));
    }
    for ((host, port), subsets) in &hosts {
        // What is of the cluster has a service already.
        if !host.contains(".svc") {
            documents.push(service_entry(host, *port, subsets, options));
        }
        documents.push(destination_rule(host, *port, subsets, options));
    }
    documents.push(extensions(gateway, &plugin, options)?);
    documents.push(gateway_filter(gateway, &plugin, &endpoints, options)?);
    Ok(documents)
}

fn listener(options: &Options) -> Value {
    let about = "Where callers reach the gateway. For TLS and mTLS change the server: protocol HTTPS, tls: { mode: SIMPLE or \
                 MUTUAL, credentialName: … }.";
    let body = json!({
        "selector": options.selector,
        "servers": [{"hosts": options.hosts, "port": {"name": "http", "number": 80, "protocol": "HTTP"}}],
    });
    object(NETWORKING, "Gateway", "weir", options, about, ("spec", body))
}

fn virtual_service(options: &Options, endpoints: &BTreeMap<&str, Endpoint>) -> Value {
    let about = "The route of every request. Where it leads is changed by the EnvoyFilter below: the filter decides for each \
                 attempt. Istio's own retries are off, or they would come on top.";
    let destination = endpoints.iter().next().map_or_else(
        || json!({}),
        |(name, endpoint)| json!({"host": endpoint.host, "subset": name, "port": {"number": endpoint.port}}),
    );
    let body = json!({
        "hosts": options.hosts,
        "gateways": ["weir"],
        "http": [{
            "name": "weir",
            "route": [{"destination": destination}],
            "retries": {"attempts": 0},
            "timeout": routes::ROUTE_TIMEOUT,
        }],
    });
    object(NETWORKING, "VirtualService", "weir", options, about, ("spec", body))
}

fn service_entry(host: &str, port: u16, subsets: &[Subset<'_>], options: &Options) -> Value {
    let names: Vec<&str> = subsets.iter().map(|(name, ..)| *name).collect();
    let about = format!("Makes {host} known to the mesh, for: {}.", names.join(", "));
    // The gateway itself originates TLS, so that the filters of the cluster see requests.
    let body = outside(host, &json!({"name": "http", "number": port, "protocol": "HTTP"}));
    object(NETWORKING, "ServiceEntry", &host_name(host, port), options, &about, ("spec", body))
}

fn destination_rule(host: &str, port: u16, subsets: &[Subset<'_>], options: &Options) -> Value {
    let about = "One subset, and so one cluster, for each provider: two can share a host and not a key. Its limits are Envoy's \
                 circuit breakers, whose defaults would allow 3 retries at a time. There is no outlier detection: the filter \
                 knows which target is well, and a host of one address must not be thrown out.";
    let subsets: Vec<Value> = subsets
        .iter()
        .map(|(name, endpoint, provider)| {
            let mut policy = json!({
                "connectionPool": {
                    "tcp": {"maxConnections": CIRCUIT_BREAKER_MAX, "connectTimeout": "5s"},
                    "http": {
                        "http1MaxPendingRequests": CIRCUIT_BREAKER_MAX,
                        "http2MaxRequests": CIRCUIT_BREAKER_MAX,
                        "maxRetries": CIRCUIT_BREAKER_MAX,
                    },
                },
            });
            if endpoint.scheme == "https" {
                set(&mut policy, "tls", tls(endpoint, *provider));
            }
            json!({"name": name, "trafficPolicy": policy})
        })
        .collect();
    let body = json!({"host": host, "exportTo": ["."], "subsets": subsets});
    object(NETWORKING, "DestinationRule", &host_name(host, port), options, about, ("spec", body))
}
