//! Binary data within JSON, and the reference that stands in its place in events.
//!
//! Images, audio and files come as base64, alone or in a data URL (RFC 2397, RFC 4648). They are
//! never part of an event: what is kept is their media type, size and the start of their digest, by
//! which the same file is known again. Nothing is held but a block at a time.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use sha2::{Digest, Sha256};

/// What a reference begins with. The contract's `Content` message gives its whole form.
pub const REFERENCE: &str = "weir-blob:";
/// Shortest base64, in characters, that is taken for data under a name that data has.
const NAMED_MIN: usize = 64;
/// The same under any other name: no prose is as long without a space.
const UNNAMED_MIN: usize = 512;
/// The names that base64 has in the APIs of OpenAI, Anthropic and Gemini.
const NAMES: [&str; 9] = [
    "data",
    "b64_json",
    "file_data",
    "result",
    "partial_image_b64",
    "bytesBase64Encoded",
    "audio",
    "embedding",
    "image_url",
];
/// How a data URL begins, and what stands before base64 in it.
const SCHEME: &[u8] = b"data:";
const BASE64: &[u8] = b";base64,";
/// Longest head of a data URL, up to its comma.
const HEAD_MAX: usize = 256;
/// Longest media type that goes into a reference.
const MEDIA_TYPE_MAX: usize = 100;
/// Characters that are decoded at once; whole groups of four.
const BLOCK: usize = 4096;

const DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Binary data as it passes.
#[derive(Clone, Debug)]
pub struct Blob {
    media_type: String,
    block: Vec<u8>,
    bytes: u64,
    digest: Sha256,
    /// The last byte was a backslash.
    escaped: bool,
    /// What followed was no base64: the rest of the string is left out.
    over: bool,
}

impl Blob {
    /// Whether the start of a string is binary data: where it begins there. `raw` is the string as
    /// JSON has it, without quotes, up to its end or far enough to tell; `name` its member's name.
    pub fn begins(name: &str, raw: &[u8]) -> Option<(Self, usize)> {
        if let Some((media_type, start)) = data_url(raw) {
            return Some((Self::new(media_type), start));
        }
        let min = if NAMES.contains(&name) { NAMED_MIN } else { UNNAMED_MIN };
        let is_data = raw.len() >= min && raw.iter().take(UNNAMED_MIN).all(|byte| is_base64(*byte));
        is_data.then(|| (Self::new(""), 0))
    }

    /// How many bytes of a string tell whether it is binary data; what follows cannot change it.
    pub const fn tells() -> usize {
        UNNAMED_MIN
    }

    fn new(media_type: &str) -> Self {
        let plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '-' | '.' | '_' | '*' | '=');
        let media_type = if media_type.len() <= MEDIA_TYPE_MAX && media_type.chars().all(plain) {
            media_type.to_owned()
        } else {
            String::new()
        };
        Self {
            media_type,
            block: Vec::with_capacity(BLOCK),
            bytes: 0,
            digest: Sha256::new(),
            escaped: false,
            over: false,
        }
    }

    /// Takes the next part of the string, as JSON has it.
    pub fn feed(&mut self, raw: &[u8]) {
        for byte in raw {
            let escapes = std::mem::replace(&mut self.escaped, *byte == b'\\');
            let character = match byte {
                // A line of its own, as base64 in mail has it (RFC 2045, section 6.8).
                b'n' | b'r' if escapes => continue,
                // The two characters of base64url (RFC 4648, section 5).
                b'-' => b'+',
                b'_' => b'/',
                // Padding, and the backslash that JSON allows before a slash.
                b'=' | b'\\' => continue,
                _ if is_base64(*byte) => *byte,
                _ => {
                    self.over = true;
                    return;
                }
            };
            if self.over {
                return;
            }
            self.block.push(character);
            if self.block.len() == BLOCK {
                self.decode();
            }
        }
    }

    fn decode(&mut self) {
        let mut decoded = [0; BLOCK];
        let Ok(length) = DECODER.decode_slice(&self.block, &mut decoded) else {
            self.over = true;
            return;
        };
        self.digest.update(decoded.get(..length).unwrap_or_default());
        self.bytes += length as u64;
        self.block.clear();
    }

    /// The reference to the data, as the contract's `Content` message gives it.
    pub fn reference(mut self) -> String {
        // A single character is no byte (RFC 4648, section 4).
        if self.block.len() % 4 == 1 {
            self.block.pop();
        }
        self.decode();
        let mut reference = format!("{REFERENCE}{};bytes={};sha256=", self.media_type, self.bytes);
        for byte in self.digest.finalize().iter().take(8) {
            // Writing to a string does not fail.
            let _ = write!(reference, "{byte:02x}");
        }
        reference
    }
}

/// Shortest text that can hold binary data.
pub const SHORTEST: usize = NAMED_MIN;

/// Replaces the binary data of every data URL within a text, such as that of an image in Markdown.
pub fn replace_data_urls(text: &mut String) {
    let Some(replaced) = without_data_urls(text.as_bytes()) else { return };
    if let Ok(replaced) = String::from_utf8(replaced) {
        *text = replaced;
    }
}

/// The same for a text that may be JSON, within whose strings the URLs stand; `None` where there are
/// none.
pub fn without_data_urls(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut done = 0;
    for comma in memmem::find_iter(text, BASE64) {
        let start = comma + BASE64.len();
        let data = text.get(start..)?;
        let length = base64_length(data);
        let head = text.get(done..comma)?;
        let head = head.get(head.len().saturating_sub(HEAD_MAX)..)?;
        let Some(scheme) = memmem::rfind(head, SCHEME) else { continue };
        let media_type = head.get(scheme + SCHEME.len()..)?;
        if length < NAMED_MIN || media_type.iter().any(|byte| !byte.is_ascii_graphic()) {
            continue;
        }
        let media_type = std::str::from_utf8(media_type).ok()?.split(';').next()?;
        let mut blob = Blob::new(media_type);
        blob.feed(data.get(..length)?);
        out.extend_from_slice(text.get(done..comma - (head.len() - scheme))?);
        out.extend_from_slice(blob.reference().as_bytes());
        done = start + length;
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(text.get(done..)?);
    Some(out)
}

/// The media type of a data URL that holds base64, and where the base64 begins.
fn data_url(raw: &[u8]) -> Option<(&str, usize)> {
    if !raw.get(..SCHEME.len())?.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let head = raw.get(SCHEME.len()..raw.len().min(HEAD_MAX))?;
    let end = memmem::find(head, BASE64)?;
    let media_type = std::str::from_utf8(head.get(..end)?).ok()?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    Some((media_type, SCHEME.len() + end + BASE64.len()))
}

/// How many bytes from the start are base64. A backslash is, only before a slash: it may as well
/// escape the quote behind the data.
fn base64_length(data: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = data.get(length) {
        match byte {
            b'\\' if data.get(length + 1) == Some(&b'/') => length += 2,
            b'\\' => break,
            _ if is_base64(*byte) => length += 1,
            _ => break,
        }
    }
    length
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\\')
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn reference(name: &str, raw: &str) -> Option<String> {
        let (mut blob, start) = Blob::begins(name, raw.as_bytes())?;
        blob.feed(&raw.as_bytes()[start..]);
        Some(blob.reference())
    }

    #[test]
    fn the_same_data_has_the_same_reference_however_it_is_written() {
        for length in [48, 3072, 3073, 9999] {
            let data: Vec<u8> = (0..length).map(|n| (n * 7 % 251) as u8).collect();
            let standard = BASE64_STANDARD.encode(&data);
            let expected = reference("data", &standard).unwrap();
            let digest = Sha256::digest(&data);
            assert!(expected.starts_with(&format!("weir-blob:;bytes={length};sha256=")), "{expected}");
            assert!(expected.ends_with(&format!("{:02x}{:02x}", digest[6], digest[7])), "{expected}");
            assert_eq!(reference("data", &BASE64_URL_SAFE_NO_PAD.encode(&data)).unwrap(), expected);
            assert_eq!(reference("data", &standard.replace('/', "\\/")).unwrap(), expected);
            let (line, lines) = standard.split_at(60);
            assert_eq!(reference("data", &format!("{line}\\r\\n{lines}\\n")).unwrap(), expected);
            let url = format!("data:image/png;base64,{standard}");
            assert_eq!(reference("url", &url).unwrap(), expected.replacen(':', ":image/png", 1));
        }
    }

    #[test]
    fn prose_and_short_words_are_no_data() {
        for (name, raw) in [
            ("data", "Hello"),
            ("text", &"x".repeat(511) as &str),
            ("content", &"word ".repeat(400)),
            ("data", &"h\u{e9}llo".repeat(40)),
            ("url", "data:,plain"),
            ("url", "https://example.com/x.png"),
        ] {
            assert_eq!(reference(name, raw), None, "{name}");
        }
        assert!(reference("text", &"x".repeat(512)).is_some());
        assert!(reference("data", &"x".repeat(64)).is_some());
    }

    #[test]
    fn data_urls_within_a_text_are_replaced() {
        let data = "QUJD".repeat(40);
        let mut text = format!(
            "![a](data:image/png;base64,{data}) and data:;base64,short and \"data:x/y;base64,{data}\""
        );
        replace_data_urls(&mut text);
        let digest: String =
            Sha256::digest("ABC".repeat(40)).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let reference = |media: &str| format!("weir-blob:{media};bytes=120;sha256={digest}");
        let expected =
            format!("![a]({}) and data:;base64,short and \"{}\"", reference("image/png"), reference("x/y"));
        assert_eq!(text, expected);
        let json = format!(r#"{{"html":"<img src=\"data:image/png;base64,{data}\"/>"}}"#);
        let replaced = without_data_urls(json.as_bytes()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&replaced).unwrap();
        assert_eq!(value["html"], format!("<img src=\"{}\"/>", reference("image/png")));
        assert_eq!(without_data_urls(b"plain;base64,"), None);
    }

    #[test]
    fn a_media_type_that_could_be_anything_else_is_left_out() {
        let told = reference("url", "data:a b\\\"c;base64,AAAA").unwrap();
        assert!(told.starts_with("weir-blob:;bytes=3;"), "{told}");
    }
}
