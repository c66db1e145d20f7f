//! Who may post: callers that present the token, compared by digest and in constant time.
//!
//! Comparing SHA-256 digests leaves neither the token's length nor its beginning to be measured.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// The token's digest, or nothing where none is asked for (loopback only; the settings see to that).
#[derive(Clone)]
pub struct TokenCheck(Option<[u8; 32]>);

impl TokenCheck {
    /// A check for this token.
    pub fn new(token: Option<&Secret>) -> Self {
        Self(token.map(|token| Sha256::digest(token.expose()).into()))
    }

    /// Whether the headers carry `Authorization: Bearer <token>` with the right token, once.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = self.0 else { return true };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.as_bytes().split_at_checked("Bearer ".len()) else { return false };
        let presented: [u8; 32] = Sha256::digest(token).into();
        scheme.eq_ignore_ascii_case(b"Bearer ") & bool::from(presented.ct_eq(&expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(check: &TokenCheck, values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        check.allows(&headers)
    }

    #[test]
    fn only_the_whole_token_is_let_in() {
        let check = TokenCheck::new(Some(&Secret::new("t0ken")));
        assert!(allows(&check, &["Bearer t0ken"]));
        assert!(allows(&check, &["bearer t0ken"]));
        for wrong in
            ["Bearer t0ke", "Bearer t0kenn", "Bearer ", "Bearer", "t0ken", "Basic t0ken", "Bearer  t0ken"]
        {
            assert!(!allows(&check, &[wrong]), "{wrong}");
        }
    }

    #[test]
    fn no_header_or_two_are_refused() {
        let check = TokenCheck::new(Some(&Secret::new("t0ken")));
        assert!(!allows(&check, &[]));
        assert!(!allows(&check, &["Bearer t0ken", "Bearer t0ken"]));
    }

    #[test]
    fn without_a_token_everyone_is_let_in() {
        assert!(allows(&TokenCheck::new(None), &[]));
    }
}
