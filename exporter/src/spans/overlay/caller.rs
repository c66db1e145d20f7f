//! What several conventions say of the caller.

use std::collections::BTreeMap;

use crate::spans::facts::event::Facts;

/// The user, else the key by which was asked.
pub(super) fn subject<'e>(facts: &Facts<'e>) -> &'e str {
    if facts.caller.user.is_empty() { &facts.caller.key_name } else { &facts.caller.user }
}

/// The caller's metadata as JSON; empty where there is none.
pub(super) fn metadata(facts: &Facts<'_>) -> String {
    let sorted: BTreeMap<_, _> = facts.caller.metadata.iter().collect();
    if sorted.is_empty() { String::new() } else { serde_json::to_string(&sorted).unwrap_or_default() }
}
