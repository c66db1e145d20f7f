//! Searching content by an external recognizer before it is shipped: names of persons and places, which no pattern
//! finds. It speaks Presidio analyzer's HTTP API (`POST /analyze`).
//!
//! An event that was not searched is never shipped with its content. While the recognizer does not answer, events wait
//! in the stream as they do for a destination, or go without content, as is set. No text is in an error or the log.

mod matches;
mod texts;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, header::CONTENT_TYPE, redirect::Policy};
use serde::Serialize;
use weir_event::{
    disclosure,
    v1::{Capture, RedactedFor, Redaction, TraceEvent},
};

use crate::{
    config::wire::WhenAway,
    destination::{RecognizerSettings, shown},
    otlp::OtlpError,
};
use matches::{Found, Match, Request};

/// The largest response that is read.
const MAX_RESPONSE: usize = 16 << 20;

/// The names of what it found begin with this among the detectors of an event.
const DETECTOR: &str = "recognizer_";

/// A recognizer with its connections.
#[derive(Debug)]
pub(super) struct Recognizer {
    settings: RecognizerSettings,
    client: Client,
}

/// What is posted (Presidio analyzer, `AnalyzerRequest`).
#[derive(Serialize)]
struct Ask<'a> {
    text: &'a str,
    language: &'a str,
    score_threshold: f64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entities: &'a [String],
}

impl Recognizer {
    /// One by these settings.
    pub(super) fn new(settings: &RecognizerSettings) -> Result<Self, OtlpError> {
        let failed = |source| OtlpError::Client { url: shown(&settings.url), source };
        let client = Client::builder().redirect(Policy::none()).timeout(settings.timeout).no_proxy();
        Ok(Self { settings: settings.clone(), client: client.build().map_err(failed)? })
    }

    /// Whether events wait while it does not answer; else they go without content.
    pub(super) fn waits(&self) -> bool {
        self.settings.when_away == WhenAway::Wait
    }

    /// Replaces what it finds in the event's content.
    ///
    /// # Errors
    ///
    /// Why the content was not searched, without any of it; the event is as it was.
    pub(super) async fn search(&self, event: &mut TraceEvent) -> Result<(), String> {
        if !disclosure::has_content(event) {
            return Ok(());
        }
        let Some(mut content) = event.content.clone() else { return Ok(()) };
        let mut all = texts::of(&mut content);
        // Stop sequences are content that stands beside it.
        let parameters = event.request.as_mut().and_then(|request| request.parameters.as_mut());
        let stops = parameters.map(|parameters| &mut parameters.stop_sequences);
        let own = all.len();
        all.extend(stops.iter().flat_map(|stops| stops.iter().cloned()));
        let mut found = Found::in_texts(all.len());
        for request in matches::requests(&all) {
            let matches = self.ask(&request).await?;
            if !found.add(&request, &matches, self.settings.score) {
                return Err("the recognizer's answer does not fit the text".to_owned());
            }
        }
        let counts = found.replace(&mut all);
        let stopped = all.split_off(own);
        texts::put_back(&mut content, all);
        if let Some(stops) = stops {
            *stops = stopped;
        }
        content.capture = Capture::Redacted.into();
        event.content = Some(content);
        event.redactions.extend(counts.into_iter().map(|(entity, count)| Redaction {
            detector: format!("{DETECTOR}{}", entity.to_ascii_lowercase()),
            version: 1,
            count,
            scope: RedactedFor::Export.into(),
        }));
        Ok(())
    }

    async fn ask(&self, request: &Request) -> Result<Vec<Match>, String> {
        let RecognizerSettings { url, language, entities, score, .. } = &self.settings;
        let ask = Ask { text: &request.text, language, score_threshold: *score, entities };
        let failed = |error: &reqwest::Error| {
            let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
            format!("the recognizer {why}")
        };
        let body =
            serde_json::to_vec(&ask).map_err(|_| "a text cannot be sent to the recognizer".to_owned())?;
        let post = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let response = post.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("the recognizer answers HTTP {status}"));
        }
        let body = read(response).await.map_err(|error| failed(&error))?;
        let matches = body.and_then(|body| serde_json::from_slice(&body).ok());
        matches.ok_or_else(|| "the recognizer's answer is no list of matches".to_owned())
    }
}

/// A response's body; `None` where it is too large.
async fn read(mut response: Response) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

#[cfg(test)]
mod tests;
