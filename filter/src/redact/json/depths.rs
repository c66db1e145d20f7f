//! A string that is escaped more than once: what it reads when fewer and fewer escapes are left, and the matches of
//! two depths together.

use crate::redact::engine::compiled::{Detectors, Hit};
use crate::redact::text::fold::{Reading, fold_in_slices, has_escapes};
use crate::redact::text::slices::rest;

/// Decodes the escapes of a string, once for each depth of escaping, at most `max` times, for as long as what
/// comes out is itself escaped.
pub(crate) async fn depths(raw: &str, max: u32, whole: bool) -> Vec<String> {
    let mut depths: Vec<String> = Vec::new();
    while depths.len() < max as usize {
        let text = depths.last().map_or(raw, String::as_str);
        if memchr::memchr(b'\\', text.as_bytes()).is_none() {
            break;
        }
        let decoded = fold_in_slices(text, Reading::EscapesOnly).await.text;
        if !has_escapes(&decoded, whole).await {
            break;
        }
        let decoded = decoded.into_owned();
        depths.push(decoded);
    }
    depths
}

/// Joins the matches of two depths of escaping. A match at the outer depth must not begin in the middle of an
/// escape, as `njo@…` does in `\njo@…`.
pub(crate) async fn join(raw: &str, mut hits: Vec<Hit>, deeper: Vec<Hit>) -> Vec<Hit> {
    let bytes = raw.as_bytes();
    for hit in &mut hits {
        let start = hit.range.start;
        let next = deeper.partition_point(|deep| deep.range.start <= start);
        let follows = deeper.get(next).is_some_and(|deep| deep.range.start == start + 1);
        if follows && start.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'\\') {
            hit.range.start += 1;
        }
        rest().await;
    }
    Detectors::join_hits(hits, deeper).await
}
