//! How long a provider asks not to be called again, in each of the ways in which providers say so:
//! `retry-after-ms` (OpenAI, Azure), `retry-after` in seconds or as a date (RFC 9110, section 10.2.3),
//! `x-should-retry` (OpenAI, Anthropic), and `RetryInfo.retryDelay` in the body of a Google error.

use crate::headers::{Headers, name};
use crate::json::scan::{Kind, Object, Value};

/// The detail of a Google error with the delay before a retry (google.rpc.RetryInfo).
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A provider's wishes about another attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// How long to wait before it, in ms.
    pub wait_ms: Option<u64>,
    /// That the same request is not to be sent to it again. `x-should-retry: true` says nothing beyond the
    /// configuration, which names the statuses that are retried.
    pub refuses: bool,
}

impl Asked {
    /// Reads a response's headers. Where two are present, the finer unit wins.
    pub fn of(headers: &Headers, now_ns: u64) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value).ok());
        let milliseconds = text(name::RETRY_AFTER_MS).and_then(|value| decimal_ms(value, 1.0));
        let wait_ms = milliseconds.or_else(|| {
            let value = text(name::RETRY_AFTER)?;
            let until = |date_s: u64| date_s.saturating_mul(1000).saturating_sub(now_ns / 1_000_000);
            decimal_ms(value, 1000.0).or_else(|| http_date(value).map(until))
        });
        let refuses =
            text(name::SHOULD_RETRY).is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        Self { wait_ms, refuses }
    }

    /// The same with what the body of a Google error says, which only counts where the headers say nothing.
    #[must_use]
    pub fn or_in(self, body: &[u8]) -> Self {
        Self { wait_ms: self.wait_ms.or_else(|| retry_delay(body)), ..self }
    }
}

/// A decimal number of a unit that has so many ms.
fn decimal_ms(value: &str, unit: f64) -> Option<u64> {
    let number: f64 = value.trim().parse().ok()?;
    // A cast of a larger number gives the largest.
    (number >= 0.0).then(|| (number * unit).ceil() as u64)
}

/// The seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn http_date(value: &str) -> Option<u64> {
    let (_, date) = value.trim().split_once(", ")?;
    let mut parts = date.split(' ');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let day = number()?;
    let month = parts.next()?;
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let year = parts.next()?.parse::<u64>().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part <= 60));
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    if parts.next() != Some("GMT") || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have the day that is added at their end.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_to_march = (month * 153 + 2) / 5;
    let days = (year * 365 + leap_days + days_to_march + day - 1).checked_sub(719_468)?;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// The `retryDelay` of a Google error, such as `"34.074824224s"`, in ms. Its OpenAI-compatible paths put
/// the error into an array.
fn retry_delay(body: &[u8]) -> Option<u64> {
    let body = body.trim_ascii();
    let body = body.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(body);
    let error = Object::parse(body).ok()?.get("error")?.as_object()?;
    let details = error.get("details").filter(|details| details.kind == Kind::Array)?.as_array()?;
    let info = details.iter().filter_map(Value::as_object);
    let info = info.into_iter().find(|detail| detail.text("@type") == RETRY_INFO)?;
    decimal_ms(info.text("retryDelay").strip_suffix('s')?, 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, and half a second.
    const NOW_NS: u64 = 784_111_777_500_000_000;

    fn asked(headers: &[(&str, &str)]) -> Asked {
        let owned = headers.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        Asked::of(&Headers(owned.collect()), NOW_NS)
    }

    #[test]
    fn a_pause_is_understood_in_every_way_in_which_it_is_asked_for() {
        for (headers, wait_ms) in [
            (&[("retry-after-ms", "700")][..], Some(700)),
            (&[("retry-after-ms", "12.4")], Some(13)),
            (&[("retry-after-ms", "700"), ("retry-after", "60")], Some(700)),
            (&[("retry-after-ms", "soon"), ("retry-after", "2")], Some(2000)),
            (&[("retry-after", "1")], Some(1000)),
            (&[("retry-after", " 0.25 ")], Some(250)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")], Some(2500)),
            (&[("retry-after", "Tue, 29 Feb 2000 00:00:00 GMT")], Some(167_670_622_500)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (&[("retry-after", "99999999999999999999999")], Some(u64::MAX)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "Sun, 06 Foo 1994 08:49:40 GMT")], None),
            (&[("retry-after", "Sun, 06 Nov 1994")], None),
            (&[], None),
        ] {
            assert_eq!(asked(headers), Asked { wait_ms, refuses: false }, "{headers:?}");
        }
    }

    #[test]
    fn only_false_refuses_another_attempt() {
        assert!(asked(&[("x-should-retry", "false")]).refuses);
        assert!(!asked(&[("x-should-retry", "true")]).refuses);
        let both = asked(&[("x-should-retry", "False"), ("retry-after", "1")]);
        assert_eq!(both, Asked { wait_ms: Some(1000), refuses: true });
    }

    #[test]
    fn a_google_error_says_it_in_its_body() {
        let error = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}"#;
        for body in [error.to_owned(), format!("[{error}]\n")] {
            assert_eq!(Asked::default().or_in(body.as_bytes()).wait_ms, Some(1500), "{body}");
        }
        assert_eq!(asked(&[("retry-after", "7")]).or_in(error.as_bytes()).wait_ms, Some(7000));
        for body in ["", "[", "{}", r#"{"error":"x"}"#, r#"{"error":{"details":[{"retryDelay":"1s"}]}}"#] {
            assert_eq!(Asked::default().or_in(body.as_bytes()).wait_ms, None, "{body}");
        }
    }
}
