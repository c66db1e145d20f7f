//! Who a caller is and what it may do.
//!
//! [`credential`] finds the key that a request carries, [`Keys`] tells whose it is, [`Patterns`]
//! which models it may use, and [`RequestMetadata`] what the caller says about the request. All of
//! it is decided in memory, from the request's headers alone. What cannot be decided is denied, and
//! no secret and no digest of one is in a message or in `Debug` output.

pub mod credential;
pub mod grant;
pub mod keys;
pub mod metadata;
pub mod pattern;

pub use crate::auth::credential::{
    CREDENTIAL_MAX, CredentialError, SECRET_HEADERS, beside_token, credential, without_key,
};
pub use crate::auth::grant::Grant;
pub use crate::auth::keys::{Denied, Key, Keys};
pub(crate) use crate::auth::metadata::is_short_text;
pub use crate::auth::metadata::{
    MetadataError, RequestMetadata, TFY_METADATA, WEIR_CONVERSATION_ID, WEIR_METADATA, WEIR_USER,
};
pub use crate::auth::pattern::Patterns;

/// Who is calling, on somebody's word that the caller cannot forge: the configuration's for a
/// key, Envoy's `jwt_authn` filter's for a token. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name of the caller's key.
    pub key_name: String,
    /// The user.
    pub user: String,
    /// The team that the user belongs to.
    pub team: String,
}
