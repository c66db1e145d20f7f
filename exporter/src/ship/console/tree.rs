//! Spans as text: one line a span, children under their parent, columns aligned within a trace.

use std::{borrow::Cow, collections::HashSet, fmt::Write as _};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};

use crate::spans::names;

/// The longest value printed, in characters.
const MAX_VALUE: usize = 80;

/// The longest piece of what was said, in characters.
const MAX_WORDS: usize = 40;

/// The deepest tree printed; the mapping makes three levels.
const MAX_DEPTH: usize = 16;

/// What is printed of a span, by the attribute that holds it.
const TELLING: [(&str, &str); 21] = [
    ("", names::HTTP_STATUS_CODE),
    ("rule", names::WEIR_RULE),
    ("provider", names::WEIR_PROVIDER),
    ("model", names::REQUEST_MODEL),
    ("model", names::WEIR_ATTEMPT_MODEL),
    ("answered", names::RESPONSE_MODEL),
    ("in", names::INPUT_TOKENS),
    ("out", names::OUTPUT_TOKENS),
    ("cached", names::CACHE_READ_TOKENS),
    ("cache_write", names::CACHE_CREATION_TOKENS),
    ("reasoning", names::REASONING_TOKENS),
    ("usage", names::WEIR_USAGE_SOURCE),
    ("cost", names::WEIR_COST_TOTAL),
    ("cost", names::WEIR_ATTEMPT_COST),
    ("finish", names::FINISH_REASONS),
    ("first_chunk_s", names::TIME_TO_FIRST_CHUNK),
    ("chunks", names::WEIR_STREAM_CHUNKS),
    ("", names::URL_FULL),
    ("resend", names::HTTP_RESEND_COUNT),
    ("client", names::CLIENT_ADDRESS),
    ("ending", names::WEIR_ENDING),
];

const RED: &str = "\u{1b}[31m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

struct Line<'s> {
    label: String,
    span: &'s Span,
}

/// The trees of all spans whose parent is not among them, in the order given.
pub(super) fn render(service: &str, spans: &[Span], colours: bool) -> String {
    let known: HashSet<_> = spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
    let mut text = String::new();
    for root in spans.iter().filter(|span| !known.contains(&(&span.trace_id, &span.parent_span_id))) {
        let mut lines = Vec::new();
        collect(root, spans, "", "", 0, &mut lines);
        let width = lines.iter().map(|line| line.label.chars().count()).max().unwrap_or_default();
        let start = root.start_time_unix_nano;
        let head = format!("trace {}  {}  {}", hex(&root.trace_id), clean(service, MAX_VALUE), clock(start));
        let _ = writeln!(text, "{}", painted(&head, DIM, colours));
        for line in &lines {
            let _ = writeln!(text, "{}", described(line, width, start, colours));
        }
        text.push('\n');
    }
    text
}

fn collect<'s>(
    span: &'s Span,
    spans: &'s [Span],
    branch: &str,
    indent: &str,
    depth: usize,
    lines: &mut Vec<Line<'s>>,
) {
    lines.push(Line { label: format!("{branch}{}", clean(&span.name, MAX_VALUE)), span });
    if depth == MAX_DEPTH {
        return;
    }
    let mut children: Vec<_> = spans
        .iter()
        .filter(|child| child.parent_span_id == span.span_id && child.trace_id == span.trace_id)
        .collect();
    children.sort_by_key(|child| child.start_time_unix_nano);
    let last = children.len().saturating_sub(1);
    for (index, child) in children.into_iter().enumerate() {
        let (corner, below) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        collect(child, spans, &format!("{indent}{corner}"), &format!("{indent}{below}"), depth + 1, lines);
    }
}

fn described(line: &Line<'_>, width: usize, start: u64, colours: bool) -> String {
    let span = line.span;
    let padding = " ".repeat(width.saturating_sub(line.label.chars().count()));
    let kind = match span.kind() {
        SpanKind::Server => "SERVER",
        SpanKind::Client => "CLIENT",
        _ => "INTERNAL",
    };
    let took = milliseconds(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano));
    let offset = milliseconds(span.start_time_unix_nano.saturating_sub(start));
    let mut text =
        format!("{}{padding}  {kind:<8} {took:>10} ms  +{offset:>9} ms", painted(&line.label, BOLD, colours));
    let failed = span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
    if failed {
        let reason = attribute(span, names::ERROR_TYPE).unwrap_or_default();
        let _ = write!(text, "  {}", painted(format!("ERROR {reason}").trim_end(), RED, colours));
    }
    for (label, name) in TELLING {
        let Some(value) = attribute(span, name) else { continue };
        let said = name == names::REQUEST_MODEL && span.name.ends_with(&value);
        let usual = matches!(
            (name, value.as_str()),
            (names::WEIR_ENDING, "completed") | (names::WEIR_USAGE_SOURCE, "provider")
        );
        let none = name == names::CACHE_CREATION_TOKENS && value == "0";
        if said || usual || none {
            continue;
        }
        let equals = if label.is_empty() { "" } else { "=" };
        let _ = write!(text, "  {label}{equals}{value}");
    }
    for (label, name, latest) in
        [("asked", names::INPUT_MESSAGES, true), ("said", names::OUTPUT_MESSAGES, false)]
    {
        if let Some(words) = words(span, name, latest) {
            let _ = write!(text, "  {label}={words:?}");
        }
    }
    text
}

/// The first words of the latest message, or of the first, that holds text.
fn words(span: &Span, name: &str, latest: bool) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?;
    let Some(Value::StringValue(json)) = &value.value else { return None };
    let messages: Vec<Said<'_>> = serde_json::from_str(json).ok()?;
    let text = |message: &Said<'_>| message.parts.iter().find_map(Part::text);
    let found = if latest { messages.iter().rev().find_map(text) } else { messages.iter().find_map(text) };
    let line = found?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(clean(&line, MAX_WORDS))
}

/// What is read of a message (the GenAI conventions' JSON).
#[derive(serde::Deserialize)]
struct Said<'j> {
    #[serde(borrow)]
    parts: Vec<Part<'j>>,
}

#[derive(serde::Deserialize)]
struct Part<'j> {
    #[serde(borrow)]
    r#type: Cow<'j, str>,
    content: Option<serde_json::Value>,
}

impl Part<'_> {
    fn text(&self) -> Option<String> {
        let text = self.content.as_ref().filter(|_| self.r#type == "text")?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?;
    Some(clean(&shown(name, value), MAX_VALUE))
}

fn shown(name: &str, value: &AnyValue) -> String {
    match &value.value {
        Some(Value::DoubleValue(dollars)) if name.ends_with("cost") || name.contains(".cost.") => {
            money(*dollars)
        }
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:.3}"),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::ArrayValue(array)) => {
            array.values.iter().map(|value| shown(name, value)).collect::<Vec<_>>().join(",")
        }
        _ => String::new(),
    }
}

/// Dollars: all digits of small sums, as most are.
fn money(dollars: f64) -> String {
    let text = format!("{dollars:.7}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("${short}")
}

/// Text that cannot drive a terminal or turn a line around, cut at so many characters.
fn clean(text: &str, most: usize) -> String {
    let harmless = |letter: char| {
        let turns =
            matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks = matches!(letter, '\u{2028}' | '\u{2029}');
        if letter.is_control() || turns || breaks { '\u{fffd}' } else { letter }
    };
    let mut cut: String = text.chars().take(most).map(harmless).collect();
    if text.chars().nth(most).is_some() {
        cut.push('…');
    }
    cut
}

fn painted(text: &str, colour: &str, colours: bool) -> String {
    if colours { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
}

/// Nanoseconds as milliseconds with three digits after the point.
fn milliseconds(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1000;
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

/// The time of day of a Unix time in nanoseconds.
fn clock(nanoseconds: u64) -> String {
    let (seconds, millis) = (nanoseconds / 1_000_000_000, nanoseconds / 1_000_000 % 1000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{millis:03} UTC")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::{self, ExportProfile, fixture};

    fn printed(event: &weir_event::v1::TraceEvent) -> String {
        render("weir-gateway", &spans::of(fixture::ID, event, &ExportProfile::default()), false)
    }

    #[test]
    fn a_trace_is_printed_as_an_aligned_tree() {
        let text = printed(&fixture::streamed());
        let expected = "\
trace 0102030405060708090a0b0c0d0e0f10  weir-gateway  22:13:20.000 UTC
POST /v1/chat/completions  SERVER      800.000 ms  +    0.000 ms  200  client=10.0.0.9
├─ resolve_model           INTERNAL      0.500 ms  +    1.000 ms  rule=models.smart
└─ chat smart              CLIENT      798.500 ms  +    1.500 ms  answered=gpt-4o-2024-08-06  in=12  out=34  \
cached=4  reasoning=2  cost=$0.000365  finish=stop  first_chunk_s=0.099
   ├─ POST                 CLIENT      798.000 ms  +    2.000 ms  200  provider=openai  model=gpt-4o  \
cost=$0.000365  https://api.openai.com/v1/chat/completions
   └─ stream               INTERNAL    600.000 ms  +  100.000 ms  chunks=9

";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn what_was_said_is_told_in_a_few_words_where_it_is_there() {
        let mut event = fixture::streamed();
        event.content = Some(weir_event::v1::Content {
            capture: weir_event::v1::Capture::Kept.into(),
            request: br#"{"messages":[{"role":"user","content":"old"},{"role":"user","content":"What is\n\u001b[2J a \"weir\"?"},
                {"role":"tool","tool_call_id":"1","content":"x"}]}"#
                .to_vec()
                .into(),
            outputs: vec![weir_event::v1::Output { text: "long ".repeat(50), ..Default::default() }],
            ..Default::default()
        });
        let text = printed(&event);
        let line = text.lines().find(|line| line.contains("chat smart")).unwrap();
        assert!(line.contains("asked=\"What is \u{fffd}[2J a \\\"weir\\\"?\""), "{line}");
        assert!(line.ends_with("said=\"long long long long long long long long …\""), "{line}");
        assert_eq!(text.lines().count(), 7, "{text}");
    }

    #[test]
    fn a_failed_span_says_so() {
        let text = printed(&fixture::failed_over());
        let line = text.lines().find(|line| line.contains("├─ POST")).unwrap();
        assert!(line.contains("ERROR 503"), "{text}");
    }

    #[test]
    fn a_callers_text_cannot_drive_the_terminal() {
        let mut event = fixture::streamed();
        event.request.as_mut().unwrap().model = "\u{1b}[2J\u{202e}evil\r\n".to_owned();
        let text = printed(&event);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\r'), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
        assert_eq!(clean(&"x".repeat(200), MAX_VALUE).chars().count(), MAX_VALUE + 1);
    }

    #[test]
    fn two_requests_of_one_trace_are_two_trees() {
        let mut second = fixture::streamed();
        second.sequence += 1;
        let trace = second.trace.as_mut().unwrap();
        trace.span_id = vec![0x77; 8].into();
        second.attempts[0].span_id = vec![0x78; 8].into();
        let id = weir_event::EventId { sequence: second.sequence, ..fixture::ID };
        let mut all = spans::of(fixture::ID, &fixture::streamed(), &ExportProfile::default());
        all.extend(spans::of(id, &second, &ExportProfile::default()));
        assert_eq!(render("s", &all, false).matches("trace ").count(), 2);
    }
}
