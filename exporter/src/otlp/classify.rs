//! Classifies a response: final, to be tried again, a setting that someone must change, or a body that will never
//! be taken.
//!
//! Pure. The OTLP specification retries 429, 502, 503 and 504 only; here every 5xx and 408 are retried too,
//! because a backend's passing 500 must not cost data. A setting turns that off.

use std::{
    error::Error,
    io,
    time::{Duration, SystemTime},
};

use super::outcome::Outcome;

/// The longest wait that an endpoint can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Final,
    /// It is to be tried again, no sooner than `after`.
    Retry {
        /// What the endpoint asked for.
        after: Option<Duration>,
    },
    /// It will be refused until someone changes something.
    Misconfigured,
    /// This body will never be taken.
    Refused,
}

/// What a status and a `Retry-After` mean; `server_errors` says whether a 500 is taken for a passing failure.
pub fn classify(status: u16, retry_after: Option<Duration>, server_errors: bool) -> Verdict {
    let retry = Verdict::Retry { after: retry_after.map(|after| after.min(MAX_RETRY_AFTER)) };
    match status {
        200..=299 => Verdict::Final,
        408 | 429 | 502..=504 => retry,
        500..=599 if server_errors => retry,
        400 | 413 | 422 | 500..=599 => Verdict::Refused,
        _ => Verdict::Misconfigured,
    }
}

/// A `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date that is compared with `now`.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs).min(MAX_RETRY_AFTER));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Classifies a POST without a response. A certificate that is not trusted stays so; all else may pass.
pub(super) fn failed(error: &reqwest::Error) -> Outcome {
    if let Some(tls) = tls_error(error) {
        return Outcome::Misconfigured { reason: format!("TLS: {tls}") };
    }
    let reason = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_builder() {
        return Outcome::Misconfigured { reason: "the request cannot be built".to_owned() };
    } else {
        innermost(error)
    };
    if error.is_connect() {
        return Outcome::Retry { after: None, reason };
    }
    Outcome::Unanswered { reason }
}

/// Whether a connection could not even be made.
pub(super) fn is_refused(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| {
        matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable)
    })
}

/// An error and what caused it, downwards. An `io::Error` hides what it wraps from `source`.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| (*error).source())
    })
}

pub(super) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The cause at the bottom says most: "Connection refused" rather than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no connection".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_success_is_final() {
        for status in [200, 202, 204, 299] {
            assert_eq!(classify(status, None, true), Verdict::Final);
        }
    }

    #[test]
    fn passing_failures_are_tried_again_no_sooner_than_asked() {
        for status in [408, 429, 500, 502, 503, 504, 599] {
            assert_eq!(classify(status, None, true), Verdict::Retry { after: None });
            let after = Some(Duration::from_secs(7));
            assert_eq!(classify(status, after, true), Verdict::Retry { after });
        }
    }

    #[test]
    fn refusals_that_stand_are_misconfiguration() {
        for status in [100, 301, 302, 307, 308, 401, 402, 403, 404, 405, 415, 600] {
            assert_eq!(
                classify(status, Some(Duration::from_secs(7)), true),
                Verdict::Misconfigured,
                "{status}"
            );
        }
    }

    #[test]
    fn a_body_that_will_never_be_taken_is_refused() {
        for status in [400, 413, 422] {
            assert_eq!(classify(status, None, true), Verdict::Refused, "{status}");
        }
        for (status, verdict) in [(500, Verdict::Refused), (503, Verdict::Retry { after: None })] {
            assert_eq!(
                classify(status, None, false),
                verdict,
                "by the letter of the specification: {status}"
            );
        }
    }

    #[test]
    fn a_wait_is_read_from_seconds_or_a_date_and_capped() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999999", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("Sat, 06 Nov 2094 08:49:37 GMT", now), Some(MAX_RETRY_AFTER));
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
        let asked = classify(503, Some(Duration::from_secs(86_400)), true);
        assert_eq!(asked, Verdict::Retry { after: Some(MAX_RETRY_AFTER) });
    }
}
