//! The same facts in the names of other conventions, for destinations that read those.
//!
//! Overlays come after everything else, and what has an index comes last of all and in whole messages, so
//! that the limit on attributes costs no standard attribute.

mod caller;
mod openinference;
mod tfy;

use super::{
    facts::{attributes::Attributes, event::Facts},
    names,
};

/// What the operation's span carries besides.
pub(super) fn operation(attributes: &mut Attributes, facts: &Facts<'_>) {
    user(attributes, facts);
    if facts.profile.overlays.tfy {
        tfy::operation(attributes, facts);
    }
    if facts.profile.overlays.openinference {
        openinference::operation(attributes, facts);
    }
}

/// What the SERVER span carries besides.
pub(super) fn request(attributes: &mut Attributes, facts: &Facts<'_>) {
    user(attributes, facts);
    if facts.profile.overlays.tfy {
        tfy::request(attributes, facts);
    }
    if facts.profile.overlays.openinference {
        openinference::request(attributes, facts);
    }
}

/// Who asked, as Middleware calls it.
fn user(attributes: &mut Attributes, facts: &Facts<'_>) {
    if facts.profile.middleware_service.is_some() {
        attributes.text(names::GEN_AI_USER_ID, caller::subject(facts));
    }
}
