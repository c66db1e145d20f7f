//! Finds the caller's key in a request, and keeps it out of everything else.
//!
//! Clients of each API send it in a place of their own: all are read, and two different keys are refused, so
//! that no two readers of one request can take it for two callers. An empty value counts as none. Errors
//! contain no part of a key.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::headers::Headers;

/// Longest key that is accepted, in bytes.
pub const CREDENTIAL_MAX: usize = 1024;

/// Every header that carries a secret, whether or not a key is read from it. No configuration may set one or
/// match on one.
pub const SECRET_HEADERS: [&str; 6] =
    [AUTHORIZATION, X_API_KEY, API_KEY, X_GOOG_API_KEY, "proxy-authorization", "cookie"];

/// `Bearer <key>`: OpenAI's clients and most others (RFC 6750, section 2.1).
const AUTHORIZATION: &str = "authorization";
/// Anthropic's clients.
const X_API_KEY: &str = "x-api-key";
/// Azure OpenAI's clients.
const API_KEY: &str = "api-key";
/// Gemini's clients.
const X_GOOG_API_KEY: &str = "x-goog-api-key";
/// Gemini's alternative: a query parameter.
const KEY_PARAMETER: &[u8] = b"key";

/// Why no key can be taken from a request. The response is a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Different keys in one or two places, or a key beside a verified token.
    #[error("Two different credentials were sent; send one, as \"Authorization: Bearer <key>\".")]
    Conflict,
    /// An Authorization header of another scheme, or of none.
    #[error("The Authorization header must be \"Bearer <key>\".")]
    Scheme,
    /// Longer than [`CREDENTIAL_MAX`].
    #[error("The key is longer than {CREDENTIAL_MAX} bytes, so it cannot be a key of this gateway.")]
    TooLong,
}

/// Returns the request's key, if it has one. `query` is the part of the path after its first `?`; a key in it
/// is percent-decoded, and `+` stands for itself.
pub fn credential<'a>(
    headers: &'a Headers,
    query: Option<&'a str>,
) -> Result<Option<Cow<'a, [u8]>>, CredentialError> {
    let found = only(headers, query)?;
    match &found {
        Some(secret) if secret.len() > CREDENTIAL_MAX => Err(CredentialError::TooLong),
        _ => Ok(found),
    }
}

/// Checks that a request with a verified token carries no other credential. The token is the bearer token of
/// the Authorization header, if Envoy left it there. Envoy also finds a token within a longer text, such as two
/// headers joined into one.
pub fn check_no_other_credential(headers: &Headers, query: Option<&str>) -> Result<(), CredentialError> {
    let Some(secret) = only(headers, query)? else { return Ok(()) };
    let is_bearer =
        headers.all(AUTHORIZATION).any(|value| bearer(value).is_ok_and(|token| !token.is_empty()));
    // A single token in compact form (RFC 7515, section 3.1).
    let is_one = secret.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if is_bearer && is_one { Ok(()) } else { Err(CredentialError::Conflict) }
}

/// Returns the only secret of a request, wherever it stands, if there is one.
fn only<'a>(headers: &'a Headers, query: Option<&'a str>) -> Result<Option<Cow<'a, [u8]>>, CredentialError> {
    let mut found: Option<Cow<'a, [u8]>> = None;
    let mut take = |secret: Cow<'a, [u8]>| match &found {
        _ if secret.is_empty() => Ok(()),
        // Both are the caller's own, so the time this takes reveals nothing.
        Some(first) if *first != secret => Err(CredentialError::Conflict),
        Some(_) => Ok(()),
        None => {
            found = Some(secret);
            Ok(())
        }
    };
    for (name, value) in &headers.0 {
        let secret = match name.as_str() {
            AUTHORIZATION => bearer(value)?,
            X_API_KEY | API_KEY | X_GOOG_API_KEY => value.trim_ascii(),
            _ => continue,
        };
        take(Cow::Borrowed(secret))?;
    }
    for parameter in parameters(query.unwrap_or_default()).filter(|parameter| is_key(parameter)) {
        let secret = parameter.split_once('=').map(|(_, value)| value).unwrap_or_default();
        take(percent_decode_str(secret).into())?;
    }
    Ok(found)
}

/// Removes every `key` parameter from a path's query, however its name is percent-encoded. All other bytes
/// stay; a query with nothing else is removed with its `?`.
pub fn without_key(path_and_query: &str) -> Cow<'_, str> {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return Cow::Borrowed(path_and_query);
    };
    if !parameters(query).any(is_key) {
        return Cow::Borrowed(path_and_query);
    }
    let mut kept = String::with_capacity(path_and_query.len());
    kept.push_str(path);
    let mut separator = '?';
    for parameter in parameters(query).filter(|parameter| !is_key(parameter)) {
        kept.push(separator);
        kept.push_str(parameter);
        separator = '&';
    }
    Cow::Owned(kept)
}

/// Returns the token after `Bearer`. Another scheme is an error: it is a credential too, one that matches no
/// key, and must not be ignored in favour of another.
fn bearer(value: &[u8]) -> Result<&[u8], CredentialError> {
    let mut parts = value.trim_ascii().splitn(2, |byte| *byte == b' ');
    let scheme = parts.next().unwrap_or_default();
    if scheme.is_empty() || scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(parts.next().unwrap_or_default().trim_ascii());
    }
    Err(CredentialError::Scheme)
}

fn parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

fn is_key(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    percent_decode_str(name).eq(KEY_PARAMETER.iter().copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Headers and query.
    type Request<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().copied().collect()
    }

    fn found(pairs: &[(&str, &str)], query: Option<&str>) -> Result<Option<String>, CredentialError> {
        let headers = headers(pairs);
        let secret = credential(&headers, query)?;
        Ok(secret.map(|secret| String::from_utf8(secret.into_owned()).unwrap()))
    }

    #[test]
    fn a_key_is_found_wherever_a_client_puts_it() {
        let places: [Request<'_>; 10] = [
            (&[("authorization", "Bearer sk-1")], None),
            (&[("authorization", "bEARER   sk-1 ")], Some("")),
            (&[("x-api-key", "sk-1")], Some("alt=sse")),
            (&[("api-key", "sk-1")], None),
            (&[("x-goog-api-key", " sk-1")], None),
            (&[], Some("key=sk-1")),
            (&[], Some("alt=sse&key=sk%2d1")),
            (&[], Some("%6b%65%79=s%6B-1&Key=other&monkey=other&key1=other")),
            (&[("authorization", ""), ("x-api-key", "sk-1"), ("api-key", " ")], Some("key&key=")),
            (&[("authorization", "Bearer "), ("x-api-key", "sk-1")], None),
        ];
        for (pairs, query) in places {
            assert_eq!(found(pairs, query).unwrap().as_deref(), Some("sk-1"), "{pairs:?} {query:?}");
        }
        assert_eq!(found(&[("accept", "sk-1"), ("cookie", "key=sk-1")], Some("q=key=sk-1")), Ok(None));
        assert_eq!(found(&[], Some("key=a+b==")).unwrap().as_deref(), Some("a+b=="));
    }

    #[test]
    fn one_key_in_two_places_is_one_key_and_two_keys_are_refused() {
        let same = [("authorization", "Bearer a"), ("x-api-key", "a"), ("x-api-key", "a")];
        assert_eq!(found(&same, Some("key=a&key=%61")).unwrap().as_deref(), Some("a"));
        let two: [Request<'_>; 6] = [
            (&[("authorization", "Bearer a"), ("x-api-key", "b")], None),
            (&[("x-api-key", "a"), ("x-api-key", "A")], None),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], None),
            (&[("api-key", "a"), ("x-goog-api-key", "ab")], None),
            (&[("api-key", "a")], Some("key=b")),
            (&[], Some("key=a&k%65y=b")),
        ];
        for (pairs, query) in two {
            assert_eq!(found(pairs, query), Err(CredentialError::Conflict), "{pairs:?} {query:?}");
        }
    }

    #[test]
    fn beside_a_verified_token_nothing_else_is_taken() {
        // Longer than any key may be.
        let token = format!("{}.{}.c_-9", "a".repeat(CREDENTIAL_MAX), "B".repeat(CREDENTIAL_MAX));
        let bearer = format!("Bearer {token}");
        let check = |pairs: &[(&str, &str)], query| check_no_other_credential(&headers(pairs), query);
        let alone: [Request<'_>; 5] = [
            (&[("authorization", &bearer)], None),
            (&[("authorization", &bearer), ("x-api-key", &token)], Some("alt=sse&key=")),
            (&[("authorization", &bearer), ("authorization", &bearer)], None),
            // Envoy removed it.
            (&[], Some("alt=sse")),
            (&[("authorization", "")], None),
        ];
        for (pairs, query) in alone {
            assert_eq!(check(pairs, query), Ok(()), "{pairs:?} {query:?}");
        }
        let joined = format!("{bearer},Bearer sk-1");
        let second: [Request<'_>; 9] = [
            (&[("authorization", &bearer), ("x-api-key", "sk-1")], None),
            (&[("authorization", &bearer), ("api-key", "sk-1")], None),
            (&[("authorization", &bearer), ("x-goog-api-key", "sk-1")], None),
            (&[("authorization", &bearer)], Some("key=sk-1")),
            (&[("authorization", &bearer), ("authorization", "Bearer sk-1")], None),
            (&[("authorization", &joined)], None),
            (&[("x-api-key", "sk-1")], None),
            (&[("authorization", "Bearer "), ("x-api-key", "sk-1")], None),
            (&[], Some("k%65y=sk-1")),
        ];
        for (pairs, query) in second {
            assert_eq!(check(pairs, query), Err(CredentialError::Conflict), "{pairs:?} {query:?}");
        }
        let scheme = format!("Basic dTpw {bearer}");
        assert_eq!(check(&[("authorization", &scheme)], None), Err(CredentialError::Scheme));
    }

    #[test]
    fn an_authorization_of_another_kind_is_not_passed_over() {
        for value in ["Basic dTpw", "sk-1", "Bearer\tsk-1", "Bearersk-1", "Negotiate", "Basic , Bearer a"] {
            let alone = found(&[("authorization", value)], None);
            let beside = found(&[("x-api-key", "sk-1"), ("authorization", value)], None);
            assert_eq!((alone, beside), (Err(CredentialError::Scheme), Err(CredentialError::Scheme)));
        }
    }

    #[test]
    fn two_headers_that_were_joined_into_one_are_no_key() {
        let joined = found(&[("authorization", "Bearer a,Bearer b")], None);
        assert_eq!(joined.unwrap().as_deref(), Some("a,Bearer b"));
    }

    #[test]
    fn a_key_beyond_the_cap_is_refused_without_being_repeated() {
        let longest = "s".repeat(CREDENTIAL_MAX);
        assert_eq!(found(&[("api-key", &longest)], None).unwrap(), Some(longest.clone()));
        let error = found(&[("api-key", &format!("{longest}s"))], None).unwrap_err();
        assert_eq!(error, CredentialError::TooLong);
        assert!(!error.to_string().contains("sss"));
        assert_eq!(found(&[], Some(&format!("key={longest}%73"))), Err(CredentialError::TooLong));
    }

    #[test]
    fn the_key_leaves_the_path_and_nothing_else_does() {
        for (path, without) in [
            ("/v1/models", "/v1/models"),
            ("/v1/models?", "/v1/models?"),
            ("/v1/key=s", "/v1/key=s"),
            ("/m:g?key=s", "/m:g"),
            ("/m:g?key=s&alt=sse", "/m:g?alt=sse"),
            ("/m:g?alt=%73se&key=s", "/m:g?alt=%73se"),
            ("/m:g?a=1&key=s&b=2&k%65y=s&&c", "/m:g?a=1&b=2&&c"),
            ("/m:g?key&key=&monkey=1&Key=2&a=key", "/m:g?monkey=1&Key=2&a=key"),
            ("/m:g?&key=s", "/m:g?"),
            ("/m:g?%6B%65%79=s#key=s", "/m:g"),
        ] {
            assert_eq!(without_key(path), without);
        }
        assert!(matches!(without_key("/v1/models?a=1&b=2"), Cow::Borrowed(_)));
    }

    /// `key`, with each letter as it is or percent-encoded in either case.
    fn spelling() -> impl Strategy<Value = String> {
        ["k|%6b|%6B", "e|%65", "y|%79"].prop_map(|letters| letters.concat())
    }

    proptest! {
        #[test]
        fn a_path_without_its_key_never_holds_the_secret(
            path in "/[a-z0-9/:%.]{0,12}",
            others in prop::collection::vec("[a-z%=+?;#0-9]{0,8}", 0..6),
            keys in prop::collection::vec((spelling(), 0..7_usize), 1..4),
        ) {
            const SECRET: &str = "SECRET";
            let kept: Vec<_> = others.into_iter().filter(|other| !is_key(other)).collect();
            let mut query = kept.clone();
            for (name, at) in keys {
                query.insert(at.min(query.len()), format!("{name}={SECRET}"));
            }
            let whole = format!("{path}?{}", query.join("&"));
            let without = without_key(&whole);
            prop_assert!(!without.contains(SECRET));
            let expected = if kept.is_empty() { path } else { format!("{path}?{}", kept.join("&")) };
            prop_assert_eq!(without.as_ref(), expected);
            let none = Headers::default();
            let found = credential(&none, whole.split_once('?').map(|(_, query)| query));
            prop_assert_eq!(found, Ok(Some(SECRET.as_bytes().into())));
        }

        #[test]
        fn whatever_the_path_no_key_is_left_in_it(path in "[/?&=key%6579bB;#+]{0,40}|\\PC{0,40}") {
            let without = without_key(&path);
            let none = Headers::default();
            let found = credential(&none, without.split_once('?').map(|(_, query)| query));
            prop_assert_eq!(found, Ok(None));
            prop_assert_eq!(without_key(&without), without.as_ref());
        }

        #[test]
        fn hostile_headers_give_a_key_or_an_error_and_never_a_panic(
            values in prop::collection::vec((0..7_usize, prop::collection::vec(any::<u8>(), 0..40)), 0..4),
            query in prop::option::of("\\PC{0,40}"),
        ) {
            let name = |at: usize| SECRET_HEADERS.get(at).copied().unwrap_or("x-other").to_owned();
            let headers = Headers(values.into_iter().map(|(at, value)| (name(at), value)).collect());
            if let Ok(Some(secret)) = credential(&headers, query.as_deref()) {
                prop_assert!((1..=CREDENTIAL_MAX).contains(&secret.len()));
            }
        }
    }
}
