//! The parts of a gateway to paste into an Envoy configuration of one's own.

use serde_json::json;
use weir_filter::event::resource::DEFAULT_NODE as NODE;

use super::bootstrap::Rendered;
use super::connection::READ_LIMIT;
use super::listener::virtual_host;
use super::parts::{Options, Parts};
use super::secrets::Secrets;
use super::tunnel;
use crate::gateway::{Error, Gateway};
use crate::yaml::{to_yaml, wrapped};

/// Renders the parts, each with a word on where it goes, and what must lie beside them.
pub fn fragment(gateway: &Gateway, options: &Options) -> Result<Rendered, Error> {
    let mut secrets = Secrets::new(options.secrets_dir.as_deref());
    let parts = Parts::new(gateway, options, &mut secrets)?;
    let mut sections = vec![(
        "http_filters",
        "Into your HTTP connection manager, before envoy.filters.http.router and after filters that \
         authenticate. Leave its own tracing off, or let it own the trace headers."
            .to_owned(),
        json!(parts.filters),
    )];
    if !gateway.observes() {
        let about =
            "Into that connection manager's route_config. Give it your domains: \"*\" may stand once.";
        sections.push(("virtual_hosts", about.to_owned(), json!([virtual_host(&parts.routes)])));
    }
    sections.push(("clusters", "Into static_resources.clusters.".to_owned(), json!(parts.clusters)));
    if !secrets.in_bootstrap.is_empty() {
        let about = "Into static_resources.secrets. They say where Envoy finds a key, and hold none.";
        sections.push(("secrets", about.to_owned(), json!(secrets.in_bootstrap)));
    }
    if !parts.tunnels.is_empty() {
        let about = "Into static_resources.listeners: the ways through HTTP proxies.";
        sections.push(("listeners", about.to_owned(), json!(parts.tunnels)));
        let about = "Into the bootstrap itself, for the listeners above.";
        sections.push(("bootstrap_extensions", about.to_owned(), json!([tunnel::extension()])));
    }
    let mut out = String::new();
    let head = if gateway.observes() {
        "The parts that let an Envoy with routes of its own observe calls to providers. Where redaction.forwarded is \
         on, a body of more than the listener's per_connection_buffer_limit_bytes (1 MiB unless you set it) is \
         refused with 413."
            .to_owned()
    } else {
        format!(
            "The parts of a gateway to paste into an Envoy configuration of your own. The listener needs \
         per_connection_buffer_limit_bytes: {READ_LIMIT} or less (how much is read at once), the connection manager use_remote_address: \
         true, its router suppress_envoy_headers: true, and the bootstrap a node with an id and a cluster, such as \
         node: {{ id: {NODE}, cluster: {NODE} }}.",
        )
    };
    write_comment(&mut out, &head);
    for (name, about, value) in sections {
        out.push('\n');
        write_comment(&mut out, &about);
        out.push_str(&to_yaml(&json!({name: value}))?);
    }
    Ok(Rendered { bootstrap: out, secrets: secrets.files })
}

fn write_comment(out: &mut String, text: &str) {
    for line in wrapped(text, 98) {
        out.push_str("# ");
        out.push_str(&line);
        out.push('\n');
    }
}
