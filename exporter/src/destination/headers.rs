//! Headers of a destination: from the configuration, or as the OTLP exporter specification writes them,
//! `key=value,key=value`, percent-encoded like W3C Baggage without its `;` metadata.
//!
//! Every value is taken for a secret. What a header may not carry is refused after decoding, so `%0A`
//! cannot smuggle a second header in.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use reqwest::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};

use crate::{
    config::{ConfigError, wire::Header},
    process::env::Env,
    secret::Secret,
};

const RESERVED: [HeaderName; 8] =
    [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING, UPGRADE];

/// The headers that stand at the field `path`.
pub(super) fn configured(
    path: &str,
    written: &BTreeMap<String, Header>,
    env: &Env,
) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let path = format!("{path}.{name}");
        let value = match value {
            Header::Text(text) => Secret::new(text.as_str()),
            Header::Secret(place) => Secret::find(&path, place, env)?,
        };
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| ConfigError::at(path.as_str(), "is not a header's name"))?;
        add(&mut headers, &path, name, &value)?;
    }
    Ok(headers)
}

/// Parses a list; `variable` is the name that errors carry.
pub(super) fn parse(variable: &str, list: &str) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (index, entry) in list.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let malformed = || {
            let position = index + 1;
            let message = format!("entry {position} must be key=value, percent-encoded, separated by commas");
            ConfigError::at(variable, message)
        };
        let (name, value) = entry.split_once('=').ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| malformed())?;
        let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| malformed())?;
        add(&mut headers, variable, name, &Secret::new(value))?;
    }
    Ok(headers)
}

fn add(headers: &mut HeaderMap, path: &str, name: HeaderName, value: &Secret) -> Result<(), ConfigError> {
    if RESERVED.contains(&name) || name.as_str().starts_with("grpc-") {
        return Err(ConfigError::at(path, format!("may not set the header {name}: the exporter sets it")));
    }
    headers.insert(name, sensitive(path, value)?);
    Ok(())
}

/// A header's value that is not shown.
pub(super) fn sensitive(path: &str, value: &Secret) -> Result<HeaderValue, ConfigError> {
    let printable = value.expose().bytes().all(|byte| byte >= 0x20 && byte != 0x7f);
    let header = HeaderValue::from_str(value.expose()).ok().filter(|_| printable);
    let mut header = header.ok_or_else(|| {
        ConfigError::at(path, "holds a character that a header may not carry (a line end, perhaps)")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "OTEL_EXPORTER_OTLP_HEADERS";

    #[test]
    fn a_list_is_split_trimmed_and_decoded() {
        let headers = parse(NAME, "Authorization=Basic%20YTpi=, x-team = a%2Cb ,,").unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["authorization"], "Basic YTpi=");
        assert_eq!(headers["x-team"], "a,b");
        assert!(headers.values().all(HeaderValue::is_sensitive));
    }

    #[test]
    fn a_broken_entry_is_named_by_its_place_and_not_shown() {
        for list in ["a=1,s3cret", "a=1,b c=s3cret", "a=1,b=s3cret%ff"] {
            let refused = parse(NAME, list).unwrap_err().to_string();
            assert!(refused.contains("entry 2") && !refused.contains("s3cret"), "{refused}");
        }
    }

    #[test]
    fn an_encoded_line_end_is_refused() {
        for list in ["a=s3cret%0d%0ax-evil:1", "a=s3cret%0a", "a=%00", "a=\u{7f}"] {
            let refused = parse(NAME, list).unwrap_err().to_string();
            assert!(refused.contains("may not carry") && !refused.contains("s3cret"), "{refused}");
        }
    }

    #[test]
    fn a_header_of_the_exporters_own_is_refused() {
        let refused = parse(NAME, "Content-Type=text/plain").unwrap_err();
        assert!(refused.to_string().contains("content-type"), "{refused}");
    }

    #[test]
    fn a_configured_header_is_named_by_its_field() {
        let env = Env::from_iter([("KEY", "Bearer s3cret\n")]);
        let written = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
        let place = crate::config::wire::SecretRef::Env("KEY".to_owned());
        let error =
            configured("d.headers", &written("authorization", Header::Secret(place)), &env).unwrap_err();
        assert_eq!(error.path, "d.headers.authorization");
        assert!(!error.to_string().contains("s3cret"));
        let error = configured("d.headers", &written("a b", Header::Text("x".into())), &env).unwrap_err();
        assert_eq!(error.to_string(), "d.headers.a b: is not a header's name");
    }
}
