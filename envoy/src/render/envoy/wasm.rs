//! The filter as Envoy loads it.

use serde_json::{Value, json};
use weir_filter::config::{Mode, PluginConfig, Role};

use crate::gateway::Gateway;
use crate::yaml::{comment, set};

/// The filter in one of its roles, whose code is where `code` says (an AsyncDataSource).
pub(crate) fn wasm_filter(plugin: &PluginConfig, gateway: &Gateway, code: &Value) -> Value {
    json!({"name": plugin_name(plugin.role), "typed_config": wasm_config(plugin, gateway, code)})
}

/// What the filter is called in a role.
pub(crate) fn plugin_name(role: Role) -> &'static str {
    match role {
        Role::Gateway => "weir.gateway",
        Role::Attempt => "weir.attempt",
    }
}

/// The plugin's JSON for a role.
pub fn plugin_json(plugin: &PluginConfig) -> Value {
    match plugin.role {
        Role::Gateway => serde_json::to_value(plugin).unwrap_or_default(),
        Role::Attempt => json!({"role": "attempt"}),
    }
}

/// The configuration of Envoy's wasm filter. Both roles have the same VM, so that they can share what
/// they know of a request.
pub(crate) fn wasm_config(plugin: &PluginConfig, gateway: &Gateway, code: &Value) -> Value {
    let variables = gateway.vm_variables();
    let name = plugin_name(plugin.role);
    let mut config = json!({
        "name": name,
        "root_id": name,
        // A VM that trapped is built anew for the next request. Never FAIL_OPEN: it would let
        // requests pass unchecked.
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": "weir",
            "runtime": "envoy.wasm.runtime.v8",
            "code": code,
            // The same for both roles, or they would not share a VM.
            "environment_variables": {"host_env_keys": variables},
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": plugin_json(plugin).to_string(),
        },
    });
    let about = match plugin.role {
        Role::Gateway if plugin.mode == Mode::Observe => {
            "Observes calls to providers, and routes nothing. FAIL_RELOAD builds a VM that trapped anew; FAIL_OPEN \
             would let requests pass unsearched."
        }
        Role::Gateway => {
            "The gateway: identifies the caller, chooses the target, redacts, reads the response. FAIL_RELOAD builds a \
             VM that trapped anew; FAIL_OPEN would let requests pass unchecked. Without \
             allow_on_headers_stop_iteration the filter would never see a body."
        }
        Role::Attempt => {
            "The same file and vm_id as the gateway's, so that both share one VM in each worker. Runs once for \
             each attempt and rewrites it for this provider."
        }
    };
    if plugin.mode != Mode::Observe {
        // Without it a filter that holds the headers never sees the body.
        set(&mut config, "allow_on_headers_stop_iteration", true);
    }
    comment(&mut config, about);
    json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": config})
}
