//! Authentication and authorization of callers.
//!
//! [`credential`] finds the key in a request, [`Keys`] finds its grant, [`Patterns`] decides which models it
//! may use, and [`RequestMetadata`] is what the caller states about the request. All of it is decided in
//! memory, from the request's headers alone. Anything undecided is denied, and no secret and no digest appears
//! in a message or in `Debug` output.

pub mod credential;
pub mod grant;
pub mod keys;
pub mod metadata;
pub mod pattern;

pub use crate::auth::credential::{
    CREDENTIAL_MAX, CredentialError, SECRET_HEADERS, check_no_other_credential, credential, without_key,
};
pub use crate::auth::grant::Grant;
pub use crate::auth::keys::{Denied, Key, Keys};
pub(crate) use crate::auth::metadata::is_short_text;
pub use crate::auth::metadata::{
    MetadataError, RequestMetadata, TFY_METADATA, WEIR_CONVERSATION_ID, WEIR_METADATA, WEIR_USER,
};
pub use crate::auth::pattern::Patterns;

/// Who is calling, by evidence that the caller cannot forge: the configuration for a key, Envoy's `jwt_authn`
/// filter for a token. Unknown fields are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name of the caller's key.
    pub key_name: String,
    /// The user.
    pub user: String,
    /// The team that the user belongs to.
    pub team: String,
}
