//! What [`check`](crate::check) finds.

use std::fmt;

/// One broken rule: its name, and a message with the file and line to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The rule's name: `file circle`, `parent circle`, `folder circle`, `entries`, `lines`, `family`,
    /// `word` or `syntax`.
    pub(crate) rule: &'static str,
    /// What breaks it, and where.
    pub(crate) message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)
    }
}
