//! Requests that are passed through by a grant without being understood.
//!
//! The path of such a request goes on as received, so it must have one reading: characters of a
//! path's segments alone, no segment that climbs or is empty, nothing encoded that could be either.

use crate::api::call::{Call, family_of};
use crate::api::{Api, Feature};

/// Longest path that is passed through, in bytes.
const PATH_MAX: usize = 1024;

/// A request that is passed through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// The feature that it is one of.
    pub feature: Feature,
    /// The call, of whatever API its path seems to mean.
    pub call: Call,
}

impl Passthrough {
    /// The request of this method and `:path`, a key in its query taken out before; `None` where it
    /// can be passed through by no grant.
    pub fn of(method: &[u8], path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
        let is_query = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_method || matches!(method, b"CONNECT" | b"TRACE") || !is_plain(path) || !is_query {
            return None;
        }
        let feature = Feature::of(method, path);
        let call = Call {
            api: Api::passthrough(family_of(path)),
            route: feature.route(),
            model_in_path: None,
            query: "",
            passed: Some(path_and_query.to_owned()),
        };
        Some(Self { feature, call })
    }
}

/// Whether a path has one reading (RFC 3986, section 3.3): absolute, of segments that are not empty,
/// without `;`, which some servers cut at, and without an encoding of what would part or climb, or of
/// another encoding.
fn is_plain(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    path.len() <= PATH_MAX && segments.split('/').all(is_plain_segment)
}

fn is_plain_segment(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    let (mut length, mut dots) = (0, 0);
    while let Some(byte) = bytes.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let decoded = match byte {
            b'%' => match (bytes.next().and_then(digit), bytes.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return false,
            },
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) => byte,
            _ => return false,
        };
        if decoded < 0x20 || matches!(decoded, 0x7f | b'/' | b'\\' | b'%' | b';') {
            return false;
        }
        length += 1;
        dots += usize::from(decoded == b'.');
    }
    length > 0 && !(dots == length && length <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Features;
    use crate::api::anthropic;

    fn feature(method: &str, path: &str) -> Option<Feature> {
        Passthrough::of(method.as_bytes(), path).map(|passthrough| passthrough.feature)
    }

    #[test]
    fn a_path_belongs_to_one_feature() {
        for (method, path, expected) in [
            ("GET", "/v1/responses/resp_1", Feature::Stored),
            ("GET", "/v1/responses/resp_1?stream=true&starting_after=2", Feature::Stored),
            ("DELETE", "/openai/v1/responses/resp_1?api-version=preview", Feature::Stored),
            ("POST", "/v1/responses/resp_1/cancel", Feature::Stored),
            ("GET", "/v1/responses/resp_1/input_items", Feature::Stored),
            ("POST", "/v1/responses/resp_1", Feature::Paths),
            ("POST", "/v1/responses/resp_1/input_items", Feature::Paths),
            ("GET", "/v1/responses/resp_1/cancel/x", Feature::Paths),
            ("POST", "/v1/files", Feature::Files),
            ("GET", "/v1/files/file-1/content", Feature::Files),
            ("POST", "/v1/uploads/upload_1/parts", Feature::Files),
            ("POST", "/v1/batches", Feature::Batches),
            ("POST", "/openai/batches?api-version=2024-10-21", Feature::Batches),
            ("GET", "/v1/messages/batches/b/results", Feature::Batches),
            ("GET", "/v1/filesystem", Feature::Paths),
            ("PATCH", "/v1/vector_stores/a%20b", Feature::Paths),
            ("GET", "/v2/connectors", Feature::Paths),
        ] {
            assert_eq!(feature(method, path), Some(expected), "{method} {path}");
        }
        let passed = Passthrough::of(b"GET", "/v1/messages/batches?limit=1").unwrap().call;
        assert_eq!(passed.api, Api::passthrough(&anthropic::FAMILY));
        assert_eq!(passed.passed.as_deref(), Some("/v1/messages/batches?limit=1"));
    }

    #[test]
    fn a_path_with_two_readings_is_passed_through_by_no_grant() {
        for path in [
            "",
            "*",
            "/",
            "v1/files",
            "http://h/v1/files",
            "//v1/files",
            "/v1/files/",
            "/v1//files",
            "/v1/./files",
            "/v1/files/..",
            "/v1/files/%2e%2E/x",
            "/v1/files/.%2e",
            "/v1/files/%2E",
            "/v1/files/..;/x",
            "/v1/files/a%3Bb",
            "/v1/files/a%2Fb",
            "/v1/files/a%2fb",
            "/v1/files/a%5cb",
            "/v1/files/a\\b",
            "/v1/files/a%00",
            "/v1/files/a%0d%0a",
            "/v1/files/a%7F",
            "/v1/files/%252e%252e",
            "/v1/files/%",
            "/v1/files/%2",
            "/v1/files/%zz",
            "/v1/files/a b",
            "/v1/files/a\r\nb",
            "/v1/files/ü",
            "/v1/files#x",
            "/v1/files?x#y",
            "/v1/files?x y",
            "/v1/files?x\r\ny: z",
            "/v1/files?ü",
            &format!("/v1/{}", "x".repeat(1025)),
        ] {
            assert_eq!(feature("GET", path), None, "{path:?}");
        }
        for path in ["/v1/files/...", "/v1/files/a..b", "/v1/files/%41?x=%2F..&y=a?b", "/x"] {
            assert!(feature("GET", path).is_some(), "{path}");
        }
        for method in ["CONNECT", "TRACE", "", "get", "G\r\n"] {
            assert_eq!(feature(method, "/v1/files"), None, "{method:?}");
        }
    }

    #[test]
    fn features_are_written_by_name() {
        for feature in [Feature::Stored, Feature::Files, Feature::Batches, Feature::Paths] {
            assert_eq!(serde_json::to_value(feature).unwrap(), feature.name());
            assert!(Features::every().has(feature) && !Features::default().has(feature));
            let alone: Features = [feature].into_iter().collect();
            assert!(alone.has(feature) && alone != Features::every());
        }
    }
}
