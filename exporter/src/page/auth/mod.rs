//! Who may use the page: the check of every request, and logging in with a token.

mod attempts;
pub(super) mod device;
pub(super) mod guard;
pub(super) mod login;

use crate::saved_destinations::Changed;

/// Who makes a request, and from where; the guard puts it into the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Actor {
    /// How they were authenticated, such as `token`.
    pub(super) name: String,
    /// The address that they come from.
    pub(super) address: String,
}

impl Default for Actor {
    fn default() -> Self {
        Self { name: "unknown".to_owned(), address: String::new() }
    }
}

impl Actor {
    /// A change that they make now.
    pub(super) fn changes(&self) -> Changed {
        Changed::now(&self.name, &self.address)
    }
}
