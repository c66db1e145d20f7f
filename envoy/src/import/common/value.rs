//! Values of other gateways' files, read as loosely as those gateways do.

use serde_json::Value;

/// The items of a list; none where it is no list.
pub(in crate::import) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A number, also where it is written as text.
pub(in crate::import) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Statuses, also where they are written as text; those that ours takes.
pub(in crate::import) fn statuses(value: &Value) -> Vec<u64> {
    let whole = |value: &Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    items(value).filter_map(whole).filter(|status| (400..600).contains(status)).collect()
}

/// Seconds as we write them.
pub(in crate::import) fn duration(seconds: f64) -> Option<String> {
    let ms = (seconds * 1000.0).round();
    if !(1.0..=86_400_000.0).contains(&ms) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    let ms = ms as u64;
    Some(if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") })
}
