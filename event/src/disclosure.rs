//! What of an event may be reported: the one place that decides it, for the filter as for the exporter.
//!
//! Every text of an event is of one of five kinds ([`Kind`]). Without content, content is dropped, what callers and
//! providers wrote beside it is reduced to words of a known form ([`crate::words`]), and the rest stays. Messages are
//! taken apart without `..`: a field that is added does not compile until it is said what it is.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    v1::{
        Attempt, Caller, Capture, Content, FormFile, ModelUsage, Parameters, Redaction, Request, Resolution,
        Response, Sampling, TraceContext, TraceEvent, Usage,
    },
    words,
};

/// Bytes of a trace's id and of a span's (W3C Trace Context, section 3.2.2).
const TRACE_ID_LEN: usize = 16;
const SPAN_ID_LEN: usize = 8;

/// What a text of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operator's and the gateway's own: names of keys, providers and detectors, hosts of providers.
    Own,
    /// What the caller says about a request so that it is reported: user, conversation, metadata.
    Said,
    /// What a caller or provider wrote, where an API has a word, an id, a name or a path.
    Written(Form),
    /// Content that stands beside the content: stop sequences.
    Content,
    /// A key or value of a map, where a word is wanted; else the entry is dropped.
    Entry,
}

/// The form that a text must have to be reported without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// [`words::is_word`].
    Word,
    /// [`words::is_id`].
    Id,
    /// [`words::is_model`].
    Model,
    /// [`words::path`].
    Path,
    /// [`words::is_authority`].
    Authority,
    /// An IP address.
    Address,
    /// [`words::product`].
    Product,
    /// [`words::trace_state`].
    TraceState,
    /// [`words::is_media_type`].
    MediaType,
    /// [`words::is_detail`].
    Detail,
}

impl Form {
    /// Reduces a text to this form; it is empty where nothing of it has the form.
    pub fn reduce(self, text: &mut String) {
        let stays = match self {
            Self::Word => words::is_word(text),
            Self::Id => words::is_id(text),
            Self::Model => words::is_model(text),
            Self::Authority => words::is_authority(text),
            Self::Address => text.parse::<std::net::IpAddr>().is_ok(),
            Self::MediaType => words::is_media_type(text),
            Self::Detail => words::is_detail(text),
            Self::Path | Self::Product | Self::TraceState => {
                let reduced = match self {
                    Self::Path => words::path(text),
                    Self::Product => words::product(text),
                    _ => words::trace_state(text),
                };
                if *text != reduced {
                    *text = reduced;
                }
                true
            }
        };
        if !stays {
            text.clear();
        }
    }
}

/// Whether an event's content was captured, so that it may be reported where content may.
pub fn has_content(event: &TraceEvent) -> bool {
    let capture = event.content.as_ref().map_or(Capture::Unspecified, Content::capture);
    matches!(capture, Capture::Kept | Capture::Redacted)
}

/// Takes from an event what may not be reported without content. What is left of content says that it was excluded,
/// where it had been captured, else what it said before.
pub fn without_content(event: &mut TraceEvent) {
    if let Some(content) = &mut event.content {
        let was_captured = matches!(content.capture(), Capture::Kept | Capture::Redacted);
        *content = if was_captured {
            Content { capture: Capture::Excluded.into(), ..Content::default() }
        } else {
            bare(content)
        };
    }
    reduce(event);
}

/// An event as a destination without content has it: what became of the content is reported, and nothing else of it.
pub fn reduced(event: &TraceEvent) -> TraceEvent {
    let mut reduced = TraceEvent {
        source: event.source.clone(),
        sequence: event.sequence,
        trace: event.trace.clone(),
        request: event.request.clone(),
        resolution: event.resolution.clone(),
        attempts: event.attempts.clone(),
        response: event.response.clone(),
        timing: event.timing,
        ending: event.ending,
        caller: event.caller.clone(),
        content: event.content.as_ref().map(bare),
        sampling: event.sampling.clone(),
        redactions: event.redactions.clone(),
        resource: event.resource.clone(),
    };
    reduce(&mut reduced);
    reduced
}

/// Passes each text that callers and providers write beside content to `redact`, for what is exported redacted.
/// Hosts and addresses are no matter of detectors: they are where the request went.
pub fn redact_written(event: &mut TraceEvent, mut redact: impl FnMut(&mut String)) {
    texts(event, &mut |kind, text| match kind {
        Kind::Written(Form::Authority | Form::Address) | Kind::Own | Kind::Said | Kind::Entry => {}
        Kind::Written(_) | Kind::Content => redact(text),
    });
}

/// What became of content, without any of it.
fn bare(content: &Content) -> Content {
    let Content { capture, request_shortened, response_shortened, .. } = *content;
    Content { capture, request_shortened, response_shortened, ..Content::default() }
}

fn reduce(event: &mut TraceEvent) {
    texts(event, &mut |kind, text| match kind {
        Kind::Own | Kind::Said => {}
        Kind::Written(form) => form.reduce(text),
        Kind::Content => text.clear(),
        Kind::Entry => Form::Word.reduce(text),
    });
    if let Some(TraceContext { trace_id, span_id, parent_span_id, flags: _, trace_state: _ }) =
        &mut event.trace
    {
        of_length(trace_id, TRACE_ID_LEN);
        of_length(span_id, SPAN_ID_LEN);
        of_length(parent_span_id, SPAN_ID_LEN);
    }
    for attempt in &mut event.attempts {
        of_length(&mut attempt.span_id, SPAN_ID_LEN);
    }
    if let Some(parameters) = event.request.as_mut().and_then(|request| request.parameters.as_mut()) {
        parameters.stop_sequences.retain(|stop| !stop.is_empty());
    }
}

/// Empties an id that is not of its length.
fn of_length(id: &mut Bytes, length: usize) {
    if id.len() != length {
        id.clear();
    }
}

/// Passes every text of an event but its content to `visit`, with its kind.
fn texts(event: &mut TraceEvent, visit: &mut impl FnMut(Kind, &mut String)) {
    let TraceEvent {
        source: _,
        sequence: _,
        trace,
        request,
        resolution,
        attempts,
        response,
        timing: _,
        ending: _,
        caller,
        content: _,
        sampling,
        redactions,
        resource,
    } = event;
    if let Some(TraceContext { trace_id: _, span_id: _, parent_span_id: _, flags: _, trace_state }) = trace {
        visit(Kind::Written(Form::TraceState), trace_state);
    }
    if let Some(request) = request {
        texts_of_request(request, visit);
    }
    if let Some(Resolution { rule, targets: _, strategy }) = resolution {
        // The rule names what was asked for, where no alias did.
        visit(Kind::Written(Form::Model), rule);
        visit(Kind::Own, strategy);
    }
    for attempt in attempts {
        texts_of_attempt(attempt, visit);
    }
    if let Some(response) = response {
        texts_of_response(response, visit);
    }
    if let Some(Caller { key_name, user, team, metadata, conversation_id }) = caller {
        visit(Kind::Own, key_name);
        for said in [user, team, conversation_id] {
            visit(Kind::Said, said);
        }
        each(metadata, |key, value| {
            visit(Kind::Said, key);
            visit(Kind::Said, value);
        });
    }
    if let Some(Sampling { ratio: _, kept_for }) = sampling {
        visit(Kind::Own, kept_for);
    }
    for Redaction { detector, version: _, count: _, scope: _ } in redactions {
        visit(Kind::Own, detector);
    }
    each(resource, |name, value| {
        visit(Kind::Own, name);
        visit(Kind::Own, value);
    });
}

fn texts_of_request(request: &mut Request, visit: &mut impl FnMut(Kind, &mut String)) {
    let Request {
        api: _,
        method,
        path,
        scheme,
        authority,
        client_address,
        user_agent,
        body_bytes: _,
        model,
        stream: _,
        parameters,
        route,
        operation,
        files,
    } = request;
    visit(Kind::Written(Form::Word), method);
    visit(Kind::Written(Form::Path), path);
    visit(Kind::Written(Form::Word), scheme);
    visit(Kind::Written(Form::Authority), authority);
    visit(Kind::Written(Form::Address), client_address);
    visit(Kind::Written(Form::Product), user_agent);
    visit(Kind::Written(Form::Model), model);
    visit(Kind::Own, route);
    visit(Kind::Own, operation);
    for FormFile { field, media_type, bytes: _ } in files {
        visit(Kind::Written(Form::Word), field);
        visit(Kind::Written(Form::MediaType), media_type);
    }
    if let Some(Parameters {
        temperature: _,
        top_p: _,
        frequency_penalty: _,
        presence_penalty: _,
        max_tokens: _,
        seed: _,
        choice_count: _,
        stop_sequences,
        reasoning_effort,
        output_format,
        service_tier,
        top_k: _,
        dimensions: _,
        encoding_format,
    }) = parameters
    {
        for stop in stop_sequences {
            visit(Kind::Content, stop);
        }
        for word in [reasoning_effort, service_tier, encoding_format] {
            visit(Kind::Written(Form::Word), word);
        }
        // Gemini's is a media type, which is of the same characters.
        visit(Kind::Written(Form::Word), output_format);
    }
}

fn texts_of_attempt(attempt: &mut Attempt, visit: &mut impl FnMut(Kind, &mut String)) {
    let Attempt {
        number: _,
        span_id: _,
        provider,
        provider_kind,
        scheme,
        host,
        port: _,
        path,
        model,
        started_ns: _,
        response_headers_ns: _,
        ended_ns: _,
        status: _,
        error,
    } = attempt;
    for own in [provider, provider_kind, scheme, host] {
        visit(Kind::Own, own);
    }
    visit(Kind::Written(Form::Path), path);
    visit(Kind::Written(Form::Model), model);
    visit(Kind::Written(Form::Detail), error);
}

fn texts_of_response(response: &mut Response, visit: &mut impl FnMut(Kind, &mut String)) {
    let Response {
        status: _,
        id,
        model,
        finish_reasons,
        usage,
        system_fingerprint,
        service_tier,
        error_type,
        body_bytes: _,
        streamed: _,
        chunks: _,
        unread: _,
    } = response;
    visit(Kind::Written(Form::Id), id);
    visit(Kind::Written(Form::Model), model);
    for reason in finish_reasons {
        visit(Kind::Written(Form::Word), reason);
    }
    visit(Kind::Written(Form::Id), system_fingerprint);
    visit(Kind::Written(Form::Word), service_tier);
    visit(Kind::Written(Form::Word), error_type);
    if let Some(Usage {
        source: _,
        input_tokens: _,
        output_tokens: _,
        cache_read_tokens: _,
        reasoning_tokens: _,
        cache_write_tokens: _,
        figures,
        cost_usd: _,
        price_marks,
        others,
        figures_left_out: _,
    }) = usage
    {
        each(figures, |path, _| visit(Kind::Entry, path));
        each(price_marks, |path, mark| {
            visit(Kind::Entry, path);
            visit(Kind::Entry, mark);
        });
        for ModelUsage {
            model,
            input_tokens: _,
            output_tokens: _,
            cache_read_tokens: _,
            cache_write_tokens: _,
        } in others
        {
            visit(Kind::Written(Form::Model), model);
        }
    }
}

/// Passes each entry of a map to `visit`. One whose key is emptied by it is dropped.
fn each<V>(map: &mut BTreeMap<String, V>, mut visit: impl FnMut(&mut String, &mut V)) {
    let entries = std::mem::take(map).into_iter().filter_map(|(mut key, mut value)| {
        let had_key = !key.is_empty();
        visit(&mut key, &mut value);
        (!had_key || !key.is_empty()).then_some((key, value))
    });
    *map = entries.collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCE: &str = "my patient Jane Doe, jane.doe@acme.io";

    fn event() -> TraceEvent {
        TraceEvent {
            request: Some(Request {
                model: "gpt-4o".to_owned(),
                user_agent: format!("curl/8.5.0 {SENTENCE}"),
                parameters: Some(Parameters {
                    stop_sequences: vec![SENTENCE.to_owned(), "END".to_owned()],
                    ..Parameters::default()
                }),
                ..Request::default()
            }),
            response: Some(Response {
                id: "chatcmpl-1".to_owned(),
                error_type: SENTENCE.to_owned(),
                finish_reasons: vec![SENTENCE.to_owned(), "stop".to_owned()],
                usage: Some(Usage {
                    figures: [(SENTENCE.to_owned(), 1), ("prompt_tokens".to_owned(), 2)].into(),
                    ..Usage::default()
                }),
                ..Response::default()
            }),
            caller: Some(Caller { user: SENTENCE.to_owned(), ..Caller::default() }),
            content: Some(Content {
                capture: Capture::Kept.into(),
                error_message: SENTENCE.to_owned(),
                request_shortened: true,
                ..Content::default()
            }),
            ..TraceEvent::default()
        }
    }

    #[test]
    fn without_content_words_stay_sentences_go_and_what_was_said_for_the_trace_stays() {
        let mut bare = event();
        without_content(&mut bare);
        assert_eq!(bare.content, Some(Content { capture: Capture::Excluded.into(), ..Content::default() }));
        let mut shown = reduced(&event());
        let content = shown.content.take().unwrap();
        assert_eq!((content.capture(), content.request_shortened), (Capture::Kept, true));
        assert_eq!(content.error_message, "");
        bare.content = None;
        assert_eq!(bare, shown);
        let (request, response) = (bare.request.unwrap(), bare.response.unwrap());
        assert_eq!((request.model.as_str(), request.user_agent.as_str()), ("gpt-4o", "curl/8.5.0"));
        assert!(request.parameters.unwrap().stop_sequences.is_empty());
        assert_eq!((response.id.as_str(), response.error_type.as_str()), ("chatcmpl-1", ""));
        // By index of the choice.
        assert_eq!(response.finish_reasons, ["", "stop"]);
        assert_eq!(response.usage.unwrap().figures, [("prompt_tokens".to_owned(), 2)].into());
        assert_eq!(bare.caller.unwrap().user, SENTENCE);
    }

    #[test]
    fn content_that_was_never_captured_stays_as_it_was_reported() {
        for capture in [Capture::NoRoom, Capture::Excluded, Capture::Unspecified] {
            let mut event = TraceEvent {
                content: Some(Content {
                    capture: capture.into(),
                    error_message: SENTENCE.to_owned(),
                    ..Content::default()
                }),
                ..TraceEvent::default()
            };
            assert!(!has_content(&event));
            without_content(&mut event);
            assert_eq!(event.content, Some(Content { capture: capture.into(), ..Content::default() }));
        }
        assert!(has_content(&event()));
    }

    #[test]
    fn what_is_redacted_beside_content_is_all_that_callers_and_providers_wrote() {
        let mut redacted = event();
        let mut seen = Vec::new();
        redact_written(&mut redacted, |text| {
            if !text.is_empty() {
                seen.push(std::mem::take(text));
            }
        });
        let agent = format!("curl/8.5.0 {SENTENCE}");
        let expected = [&agent, "gpt-4o", SENTENCE, "END", "chatcmpl-1", SENTENCE, "stop", SENTENCE];
        assert_eq!(seen, expected);
        assert_eq!(redacted.caller.unwrap().user, SENTENCE);
    }
}
