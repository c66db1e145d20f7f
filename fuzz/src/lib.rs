//! Shared by the fuzz targets: the filter on a mock host, and ways to split bytes.
//!
//! A target fails by panicking, so everything here may.

#[path = "../../filter/tests/host/mod.rs"]
pub mod host;

use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use weir_filter::balancing::TargetIds;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::event::vm::{ENTROPY, Vm};
use weir_filter::redact::{
    Allow, Counts, DetectorId, Detectors, Fields, Form, Replace, Replacement, redact_json,
};
use weir_filter::roles::attempt::Attempt;
use weir_filter::roles::gateway::Gateway;

use host::{FakeHost, Stream};

/// A gateway with a provider of every API, one model that each of them serves, and redaction of exported
/// content.
const CONFIG: &str = r#"{
    "providers": {"openai": {"api": "openai", "url": "http://10.0.0.1:9000/base/v1"},
                  "anthropic": {"api": "anthropic", "url": "http://10.0.0.2:9000"},
                  "gemini": {"api": "gemini", "url": "http://10.0.0.3:9000"},
                  "cohere": {"api": "cohere", "url": "http://10.0.0.4:9000"}},
    "models": {"m": {"targets": [
        {"provider": "openai", "model": "up-m", "params": {"temperature": 0.5}, "caps": {"max_tokens": 100}},
        {"provider": "anthropic", "model": "up-m"},
        {"provider": "gemini", "model": "up-m"},
        {"provider": "cohere", "model": "up-m"}]}},
    "redaction": {"exported": {"content": "redact"}},
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;

/// A call of every API, by path.
pub const PATHS: [&str; 19] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/moderations",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    "/v1beta/models/m:embedContent",
    "/v1beta/models/m:batchEmbedContents",
    "/v1beta/models/m:countTokens",
    "/v2/chat",
    "/v2/rerank",
    "/openai/deployments/m/chat/completions",
    "/v1/audio/transcriptions",
    "/v1/images/edits",
];

/// An address planted where personal data may stand, with surroundings that no detector takes for part of
/// anything shorter.
pub const PLANTED: &str = " canary@planted.example ";
/// The part of it that must not remain anywhere.
pub const CANARY: &str = "canary@planted.example";
/// The byte replaced by it: one that never stands in JSON unescaped.
const MARK: u8 = 0x01;

/// Every detector, compiled once.
pub static DETECTORS: LazyLock<Arc<Detectors>> =
    LazyLock::new(|| Arc::new(Detectors::new(&[], &Allow::default(), "redaction").unwrap()));

/// A request in progress, with this `:path`, these headers and this body.
pub fn stream(path: &str, headers: Vec<(String, Vec<u8>)>, body: &[u8]) -> Stream {
    thread_local! {
        static CHECKED: OnceCell<Rc<Config>> = const { OnceCell::new() };
    }
    let config = CHECKED.with(|checked| {
        Rc::clone(checked.get_or_init(|| {
            let plugin = PluginConfig::from_json(CONFIG.as_bytes()).unwrap();
            Rc::new(Config::new(&plugin, &mut TargetIds::default()).unwrap())
        }))
    });
    let vm = Rc::new(Vm::new(&[5; ENTROPY]));
    vm.limit(&config);
    let of_http = [(":method", "POST"), (":path", path), (":authority", "gw"), (":scheme", "http")];
    let of_http = of_http.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let host = FakeHost {
        request_headers: RefCell::new(of_http.into_iter().chain(headers).collect()),
        request_body: RefCell::new(body.to_vec()),
        ..FakeHost::default()
    };
    Stream { gateway: Gateway::new(config, Rc::clone(&vm)), vm, host }
}

/// Passes the response's headers in.
pub fn respond(stream: &mut Stream, attempt: &mut Attempt, status: &str, content_type: &str) {
    stream.respond(attempt, status, content_type, &[]);
}

/// Plants an address at each mark, and nowhere else.
pub fn plant(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    // The fuzzer puts what it finds in one input into others, in any surroundings.
    let is_there = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    for byte in bytes.iter().filter(|byte| !is_there || **byte != b'@') {
        match *byte {
            MARK => out.extend_from_slice(PLANTED.as_bytes()),
            byte => out.push(byte),
        }
    }
    out
}

/// Whether a JSON text contains no planted address, except in fields without content.
pub fn is_clean(json: &[u8], fields: Fields) -> bool {
    if json.is_empty() {
        return true;
    }
    let without = redact_json(json, &DETECTORS, DETECTORS.all(), fields, &mut Replacement::Label);
    count(&without.expect("exported content is JSON").body, CANARY) == count(json, CANARY)
}

/// Writes replacements like the wrapped one, and remembers matches.
pub struct Remembering {
    replacement: Replacement,
    written: HashSet<String>,
    /// Matches since this was emptied.
    found: Vec<String>,
}

impl Replace for Remembering {
    fn replace(&mut self, detector: DetectorId, label: &str, value: &str, out: &mut String) {
        let start = out.len();
        self.replacement.replace(detector, label, value, out);
        self.written.insert(out[start..].to_owned());
        self.found.push(value.to_owned());
    }

    fn form(&self) -> Form {
        self.replacement.form()
    }
}

/// Redacts a text repeatedly until it no longer changes.
///
/// Replacements themselves never match again. Something else may: the end of a number that was too long now
/// stands beside a replacement, and is one; or something larger takes a replacement in, as a URL's password
/// does with a number with spaces. So it settles soon.
pub fn redacted<T: Clone + PartialEq + AsRef<[u8]>>(
    replacement: &Replacement,
    text: T,
    redact: impl Fn(&T, &mut Remembering) -> (T, Counts),
) -> T {
    const ROUNDS: usize = 8;
    let mut remembering =
        Remembering { replacement: replacement.clone(), written: HashSet::new(), found: Vec::new() };
    let (first, _) = redact(&text, &mut remembering);
    let mut last = first.clone();
    for _ in 0..ROUNDS {
        let before: Vec<String> = remembering.written.iter().cloned().collect();
        remembering.found.clear();
        let (next, found) = redact(&last, &mut remembering);
        assert_eq!(found.is_empty(), next == last, "{:?}", found.by_name(&DETECTORS));
        if found.is_empty() {
            return first;
        }
        // A mask consists of characters that may stand in any text.
        for label in before.iter().filter(|label| label.starts_with('[')) {
            let larger = remembering.found.iter().filter(|value| value.len() > label.len());
            let taken_in: usize = larger.map(|value| count(value.as_bytes(), label)).sum();
            assert!(count(next.as_ref(), label) + taken_in >= count(last.as_ref(), label), "{label} is gone");
        }
        last = next;
    }
    panic!("it never comes to rest: {}", String::from_utf8_lossy(last.as_ref()));
}

fn count(text: &[u8], of: &str) -> usize {
    text.windows(of.len()).filter(|window| *window == of.as_bytes()).count()
}

/// Splits an input into controls and data. Controls stand at the end after a byte of their own, so that a file
/// made for something else is a valid input too; its controls then follow from its length.
pub fn controls<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    const SAYS: u8 = 0x02;
    if let Some((rest, said)) = data.split_last_chunk::<N>()
        && let Some((&SAYS, rest)) = rest.split_last()
    {
        return (*said, rest);
    }
    (std::array::from_fn(|place| (data.len() >> (2 * place)) as u8), data)
}

/// Splits bytes into non-empty pieces, with lengths drawn from a seed.
pub fn pieces(bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut rest, mut state, mut out) = (bytes, u32::from(seed) | 1, Vec::new());
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Mostly short ones, sometimes a long one.
        let length = if state >> 28 == 0 { 700 } else { 1 + (state >> 24) as usize % 12 };
        let (piece, after) = rest.split_at(length.min(rest.len()));
        out.push(piece);
        rest = after;
    }
    out
}

/// Splits text between characters, like [`pieces`].
pub fn text_pieces(text: &str, seed: u8) -> Vec<&str> {
    let (mut rest, mut out) = (text, Vec::new());
    for piece in pieces(text.as_bytes(), seed) {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(piece.len().min(rest.len())));
        out.push(piece);
        rest = after;
    }
    out.push(rest);
    out
}
