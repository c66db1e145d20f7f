//! The same facts in the names of other conventions, for destinations that read those.
//!
//! Overlays come after everything else, and what has an index comes last of all and in whole messages, so
//! that the limit on attributes costs no standard attribute.

pub(super) mod openinference;
mod tfy;

use std::collections::BTreeMap;

use super::{attributes::Attributes, facts::Facts, names};

/// What the operation's span carries besides.
pub(super) fn operation(attributes: &mut Attributes, facts: &Facts<'_>) {
    user(attributes, facts);
    if facts.view.overlays.tfy {
        tfy::operation(attributes, facts);
    }
    if facts.view.overlays.openinference {
        openinference::operation(attributes, facts);
    }
}

/// What the SERVER span carries besides.
pub(super) fn request(attributes: &mut Attributes, facts: &Facts<'_>) {
    user(attributes, facts);
    if facts.view.overlays.tfy {
        tfy::request(attributes, facts);
    }
    if facts.view.overlays.openinference {
        openinference::request(attributes, facts);
    }
}

/// Who asked, as Middleware calls it.
fn user(attributes: &mut Attributes, facts: &Facts<'_>) {
    if facts.view.middleware_service.is_some() {
        attributes.text(names::GEN_AI_USER_ID, subject(facts));
    }
}

/// The user, else the key by which was asked.
fn subject<'e>(facts: &Facts<'e>) -> &'e str {
    if facts.caller.user.is_empty() { &facts.caller.key_name } else { &facts.caller.user }
}

/// The caller's metadata as JSON; empty where there is none.
fn metadata(facts: &Facts<'_>) -> String {
    let sorted: BTreeMap<_, _> = facts.caller.metadata.iter().collect();
    if sorted.is_empty() { String::new() } else { serde_json::to_string(&sorted).unwrap_or_default() }
}
