//! Who changed something, when, and from where.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// Who changed something, when, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// When (RFC 3339).
    pub at: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
}

impl Changed {
    /// A change that is made now.
    pub fn now(actor: impl Into<String>, address: impl Into<String>) -> Self {
        Self { at: now(), actor: actor.into(), address: address.into() }
    }
}

/// The time in RFC 3339.
pub(super) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
}
