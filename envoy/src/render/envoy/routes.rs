//! Routes: how Envoy's router finds the cluster of each attempt, and when it makes another.
//!
//! Envoy makes the attempts and the filter decides on each: by `x-envoy-max-retries` how many there
//! may be, by a mark on a response whether it is followed by another attempt, by filter state where that one
//! goes. All routes are alike but for the pause between attempts, which only a route can hold. Without
//! the upstream filter none of that is possible, so there is one attempt.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_filter::config::cluster_name;
use weir_filter::headers::name;
use weir_settings::Duration;

use super::connection::buffer_limit;
use crate::gateway::Gateway;
use crate::yaml::set;

/// Longest time for a whole response, streams included. Ten minutes is what OpenAI's own clients
/// wait; Envoy's default of 15 s would cut long responses.
pub(crate) const ROUTE_TIMEOUT: &str = "600s";
/// Longest Retry-After that is waited for; the filter takes the next target for a longer one.
const RETRY_AFTER_MAX: &str = "2s";
/// Filter state that holds the cluster of the next attempt (written by the filter as `weir.cluster`).
const CLUSTER_STATE: &str = "wasm.weir.cluster";
/// Filter state that holds the pause between attempts where it is not the usual one.
const BACKOFF_STATE: &str = "wasm.weir.backoff";
/// The usual pause before a second attempt, and how much longer the longest one may be.
const BACKOFF: Duration = Duration::from_ms(25);
const BACKOFF_GROWTH: u64 = 10;

/// A route for every pause that some model asks for, and the usual one.
pub(crate) fn render(gateway: &Gateway) -> Vec<Value> {
    if !gateway.upstream_filter {
        let mut only = route(gateway, &json!({"prefix": "/"}), None);
        // The filter has to leave it, since no route is chosen without it.
        set(&mut only, "request_headers_to_remove", json!([name::X_FORWARDED_PROTO]));
        return vec![only];
    }
    let asked: BTreeSet<Duration> = gateway.models.values().filter_map(|model| model.retry.backoff).collect();
    let special = asked.into_iter().map(|backoff| {
        let state = json!([{"key": BACKOFF_STATE, "string_match": {"exact": backoff.to_string()}}]);
        route(gateway, &json!({"prefix": "/", "filter_state": state}), Some(backoff))
    });
    special.chain([route(gateway, &json!({"prefix": "/"}), Some(BACKOFF))]).collect()
}

/// A route; without a pause between attempts there is one attempt.
fn route(gateway: &Gateway, matches: &Value, backoff: Option<Duration>) -> Value {
    let mut action = plain_action(gateway.providers.keys().map(|name| cluster_name(name)));
    if let Some(backoff) = backoff {
        set(&mut action, "retry_policy", retry_policy(backoff));
    }
    json!({"match": matches, "request_body_buffer_limit": buffer_limit(gateway), "route": action})
}

/// What a route does with a request, with the usual pause between attempts.
pub(crate) fn action(gateway: &Gateway, clusters: impl Iterator<Item = String>) -> Value {
    let mut action = plain_action(clusters);
    if gateway.upstream_filter {
        set(&mut action, "retry_policy", retry_policy(BACKOFF));
    }
    action
}

fn plain_action(names: impl Iterator<Item = String>) -> Value {
    json!({
        "inline_cluster_specifier_plugin": {"extension": {
            "name": "envoy.router.cluster_specifier_plugin.matcher",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
                "cluster_matcher": clusters(names),
            },
        }},
        "timeout": ROUTE_TIMEOUT,
    })
}

/// Lets these routes lead to one more cluster.
pub(crate) fn add_cluster(routes: &mut [Value], cluster: &str) {
    let map = "/route/inline_cluster_specifier_plugin/extension/typed_config/cluster_matcher/matcher_tree/exact_match_map/map";
    for map in routes.iter_mut().filter_map(|route| route.pointer_mut(map)?.as_object_mut()) {
        map.insert(cluster.to_owned(), entry(cluster));
    }
}

fn entry(cluster: &str) -> Value {
    json!({"action": {
        "name": "cluster",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction",
            "cluster": cluster,
        },
    }})
}

/// One entry for each provider's cluster; a name that matches none reaches no other.
fn clusters(names: impl Iterator<Item = String>) -> Value {
    let entries = names.map(|cluster| {
        let entry = entry(&cluster);
        (cluster, entry)
    });
    json!({
        "matcher_tree": {
            "input": {
                "# The filter writes the cluster of each attempt here.": null,
                "name": "cluster_of_this_attempt",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                    "key": CLUSTER_STATE,
                },
            },
            "exact_match_map": {"map": Value::Object(entries.collect())},
        },
    })
}

fn retry_policy(backoff: Duration) -> Value {
    let seconds = |ms: u64| format!("{}.{:03}s", ms / 1000, ms % 1000);
    json!({
        "# refresh_cluster_on_retry chooses the cluster again before each attempt, so that one can go to another provider. \
         The filter decides how many attempts there are and after which responses.": null,
        "retry_on": "connect-failure,refused-stream,reset,retriable-headers",
        "retriable_headers": [{"name": name::WEIR_RETRY, "string_match": {"exact": "1"}}],
        "num_retries": 0,
        "refresh_cluster_on_retry": true,
        "retry_back_off": {
            "base_interval": seconds(backoff.as_ms()),
            "max_interval": seconds(backoff.as_ms() * BACKOFF_GROWTH),
        },
        "rate_limited_retry_back_off": {
            "reset_headers": [{"name": name::RETRY_AFTER, "format": "SECONDS"}],
            "max_interval": RETRY_AFTER_MAX,
        },
    })
}
