//! What to do about a refusal, and what an endpoint said of it, made fit to be shown.

use reqwest::header::HeaderMap;

/// What stands in place of what we sent in a header and got back.
const WITHHELD: &str = "[withheld]";

/// The shortest header value that is masked in a response: a shorter one identifies nothing.
const MIN_VALUE: usize = 4;

/// What an operator can do about a refusal that stands.
pub fn advice(reason: &str) -> &'static str {
    match reason {
        "HTTP 401" | "HTTP 403" | "gRPC Unauthenticated" | "gRPC PermissionDenied" => {
            "Check the key or the headers."
        }
        "HTTP 404" | "HTTP 405" | "gRPC Unimplemented" | "gRPC NotFound" => {
            "Check the endpoint's path: it is used as it is, for HTTP usually …/v1/traces."
        }
        "HTTP 415" => "Check the protocol and the compression.",
        _ if reason.starts_with("HTTP 3") => {
            "It redirects, which is not followed: give the endpoint that it leads to."
        }
        _ if reason.starts_with("TLS") => "Check tls.ca, and whether the endpoint speaks TLS at all.",
        _ => "Check the destination's settings.",
    }
}

/// The first `most` bytes of a response as text: one line, and nothing of what our headers held.
pub(super) fn said(answer: &[u8], headers: &HeaderMap, most: usize) -> Option<String> {
    let mut text = String::from_utf8_lossy(answer).into_owned();
    for value in headers.values().filter_map(|value| value.to_str().ok()) {
        // A scheme before a token is no part of it.
        for part in value.split_whitespace().chain([value]).filter(|part| part.len() >= MIN_VALUE) {
            text = text.replace(part, WITHHELD);
        }
    }
    let printable = |c: char| if c.is_control() || c == '\u{fffd}' { ' ' } else { c };
    let text: String = text.chars().map(printable).collect();
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.truncate(text.floor_char_boundary(most));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_is_shown_short_on_one_line_and_without_what_was_sent() {
        let headers = HeaderMap::from_iter([(
            reqwest::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer canary-7"),
        )]);
        let shown = said(b"bad token\ncanary-7\x00 of \xff Bearer canary-7", &headers, 512).unwrap();
        assert!(!shown.contains("canary") && shown.starts_with("bad token [withheld] of"), "{shown}");
        let long = said("\u{e4}".repeat(1000).as_bytes(), &HeaderMap::new(), 512).unwrap();
        assert_eq!(long.len(), 512);
        assert_eq!(said(b" \n ", &headers, 512), None);
    }
}
