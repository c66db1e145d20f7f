//! Who a caller is and what it may do.
//!
//! [`credential`] finds the key that a request carries, [`Keys`] tells whose it is, [`Patterns`]
//! which models it may use, and [`RequestMetadata`] what the caller says about the request. All of
//! it is decided in memory, from the request's headers alone. What cannot be decided is denied, and
//! no secret and no digest of one is in a message or in `Debug` output.

mod credential;
mod keys;
mod metadata;
mod pattern;

use std::collections::BTreeMap;

pub use self::credential::{CREDENTIAL_HEADERS, CREDENTIAL_MAX, CredentialError, credential, without_key};
pub use self::keys::{Denied, Grant, Key, Keys};
pub use self::metadata::{
    MetadataError, RequestMetadata, TFY_METADATA, WEIR_CONVERSATION_ID, WEIR_METADATA, WEIR_USER,
};
pub use self::pattern::Patterns;

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

/// The identity in the claims of a token that `jwt_authn` has verified, as it leaves them in
/// dynamic metadata. A claim that is absent, or no short text, names nobody: shortened, it could
/// name somebody else.
pub fn identity_from_claims(
    claims: &BTreeMap<String, String>,
    user_claim: &str,
    team_claim: &str,
) -> Identity {
    let claim = |name: &str| {
        claims.get(name).filter(|value| metadata::is_short_text(value)).cloned().unwrap_or_default()
    };
    Identity { key_name: String::new(), user: claim(user_claim), team: claim(team_claim) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verified_token_names_user_and_team() {
        let claims = BTreeMap::from([
            ("sub".to_owned(), "ann@example.com".to_owned()),
            ("group".to_owned(), "research".to_owned()),
        ]);
        let identity = identity_from_claims(&claims, "sub", "group");
        assert_eq!((identity.user.as_str(), identity.team.as_str()), ("ann@example.com", "research"));
        assert_eq!(identity_from_claims(&claims, "email", ""), Identity::default());
    }

    #[test]
    fn a_claim_that_is_no_short_text_names_nobody() {
        for value in ["a\r\nb".to_owned(), "x".repeat(257)] {
            let claims = BTreeMap::from([("sub".to_owned(), value)]);
            assert_eq!(identity_from_claims(&claims, "sub", "sub"), Identity::default());
        }
    }
}
