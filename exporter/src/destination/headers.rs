//! Header lists as the OTLP exporter specification writes them: `key=value,key=value`, percent-encoded
//! like W3C Baggage, without its `;` metadata.
//!
//! Every value is taken for a secret. What a header may not carry is refused after decoding, so `%0A`
//! cannot smuggle a second header in.

use percent_encoding::percent_decode_str;
use reqwest::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    TRANSFER_ENCODING,
};

use super::{DestinationError, sensitive};
use crate::secret::Secret;

const RESERVED: [HeaderName; 6] =
    [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

/// Parses a list; `variable` is the name that errors carry.
pub(crate) fn parse(variable: &'static str, list: &str) -> Result<HeaderMap, DestinationError> {
    let mut headers = HeaderMap::new();
    for (index, entry) in list.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let malformed = || DestinationError::HeaderEntry { variable, position: index + 1 };
        let (name, value) = entry.split_once('=').ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| malformed())?;
        let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| malformed())?;
        let value = sensitive(variable, &Secret::new(value))?;
        if RESERVED.contains(&name) {
            return Err(DestinationError::HeaderReserved { variable, name: name.to_string() });
        }
        headers.insert(name, value);
    }
    Ok(headers)
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
        assert!(headers.values().all(reqwest::header::HeaderValue::is_sensitive));
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
            let refused = parse(NAME, list).unwrap_err();
            assert!(matches!(refused, DestinationError::HeaderValue { .. }), "{list:?}");
            assert!(!refused.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn a_header_of_the_exporters_own_is_refused() {
        let refused = parse(NAME, "Content-Type=text/plain").unwrap_err();
        assert!(refused.to_string().contains("content-type"), "{refused}");
    }
}
