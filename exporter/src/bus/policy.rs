//! The capture policy: whether the gateway may capture the content of requests.
//!
//! It can be stricter than the gateway's own configuration, never more permissive: the stricter of both applies.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_event::v1::{CapturePolicy, CaptureRule};

/// What an operator sets by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// No override: the gateway's configuration and the destinations decide what is exported.
    #[default]
    Off,
    /// No content leaves Envoy.
    Exclude,
}

/// The policy as ingest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Not yet: nothing may be stored.
    Unknown,
    /// This one.
    Known {
        /// Rises with every change; 0 where gateways need not know.
        revision: u64,
        /// Whether content is left out.
        excludes: bool,
    },
}

impl Policy {
    /// There is none: the gateway's configuration alone decides what is exported.
    pub const NONE: Self = Self::Known { revision: 0, excludes: false };

    /// It cannot be read: excludes content, to be safe.
    pub const STRICT: Self = Self::Known { revision: 0, excludes: true };

    /// Whether content is left out.
    pub fn excludes(self) -> bool {
        matches!(self, Self::Known { excludes: true, .. })
    }

    /// As the response to a batch carries it.
    pub fn reported(self) -> Option<CapturePolicy> {
        match self {
            Self::Unknown | Self::Known { revision: 0, .. } => None,
            Self::Known { revision, excludes } => {
                let content = if excludes { CaptureRule::Exclude } else { CaptureRule::Keep };
                Some(CapturePolicy { revision, content: content.into() })
            }
        }
    }
}

/// A revision that rises also where the bucket was lost and made anew: its time in the upper half.
pub(crate) fn revision(made: u64, sequence: u64) -> u64 {
    (made << 32) | (sequence & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_rises_with_every_change_and_with_a_bucket_made_anew() {
        assert!(revision(1_700_000_000, 6) > revision(1_700_000_000, 5));
        assert!(revision(1_700_000_001, 0) > revision(1_700_000_000, 900_000));
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        assert_eq!(Policy::Unknown.reported(), None);
        assert_eq!(Policy::NONE.reported(), None);
        assert!(Policy::STRICT.excludes() && Policy::STRICT.reported().is_none());
        let reported = Policy::Known { revision: 7, excludes: true }.reported().unwrap();
        assert_eq!((reported.revision, reported.content()), (7, CaptureRule::Exclude));
    }
}
