//! Forms (multipart/form-data: RFC 7578, and RFC 2046, section 5.1): where their parts stand.
//!
//! A form is read to learn its model and to replace that alone; every other byte stays. Nothing is
//! copied, and of files only field, type and size are looked at. What two servers could read
//! differently (line breaks, names, lengths, a model twice) is refused, so strictly that a client
//! library's form passes and hardly another.

#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::memmem;
use weir_event::v1;

use crate::json::edit::BodyEdits;

/// Most parts of a form.
pub const PARTS_MAX: usize = 64;
/// Longest headers of one part, in bytes.
const HEAD_MAX: usize = 4096;
/// Longest boundary, in bytes (RFC 2046, section 5.1.1).
const BOUNDARY_MAX: usize = 70;
/// Most parameters of one header.
const PARAMETERS_MAX: usize = 8;
/// Longest name of a field, in bytes.
const NAME_MAX: usize = 64;
/// Longest media type that is kept, in bytes.
const MEDIA_TYPE_MAX: usize = 128;
/// The media type of a form.
const MEDIA_TYPE: &[u8] = b"multipart/form-data";
/// The fields that the gateway reads, and so can be there only once and in one spelling.
const READ: [&str; 2] = ["model", "stream"];

/// Why a body is not taken for a form. Holds no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The content-type has no boundary that can be one.
    #[error(
        "the content-type must name one boundary of 1 to {BOUNDARY_MAX} characters, and no charset but utf-8"
    )]
    Boundary,
    /// Something stands before the first boundary.
    #[error("it must begin with \"--\", its boundary, and CR LF")]
    Start,
    /// A line begins as a boundary does and is none.
    #[error("the line at byte {0} begins like a boundary and is none; end lines with CR LF")]
    Delimiter(usize),
    /// It ends before its last boundary.
    #[error("it must end with CR LF, \"--\", its boundary and \"--\"")]
    Truncated,
    /// Something stands behind its last boundary.
    #[error("something stands behind its last boundary, at byte {0}")]
    BehindEnd(usize),
    /// More parts than are read.
    #[error("it has more than {PARTS_MAX} parts")]
    TooManyParts,
    /// A part's headers are not read.
    #[error(
        "the part at byte {0} must have at most {HEAD_MAX} bytes of header lines, each ended by CR LF, and an empty line"
    )]
    Head(usize),
    /// A part does not say which field it is.
    #[error(
        "the part at byte {0} must have one content-disposition: form-data; name=\"…\", the name of at most \
         {NAME_MAX} letters, digits, '_', '-', '.', '[' or ']'"
    )]
    Disposition(usize),
    /// A part's bytes are not its value.
    #[error("the part at byte {0} must be sent as it is: without encoding, and of the length that it says")]
    Encoded(usize),
    /// A field that the gateway reads stands twice, in another spelling, or as a file.
    #[error("the field {0} can be there once, in lowercase, as text")]
    Ambiguous(&'static str),
}

/// A form that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    body: &'a [u8],
    boundary: &'a str,
    parts: Vec<Part<'a>>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part<'a> {
    /// The field that it is a value of.
    name: &'a str,
    is_file: bool,
    media_type: &'a str,
    /// Where its value stands in the body.
    value: Range<usize>,
    /// Where its headers give the value's length, if they do.
    length: Option<Range<usize>>,
}

impl Part<'_> {
    /// Whether some server could read its name as this one: in another case, or as `name[]`.
    fn is_spelt(&self, name: &str) -> bool {
        self.name.split('[').next().is_some_and(|base| base.eq_ignore_ascii_case(name))
    }
}

/// Whether a content-type is that of a form.
pub fn is_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE)
}

impl<'a> Form<'a> {
    /// Reads a body that its content-type calls a form.
    pub fn parse(content_type: &'a [u8], body: &'a [u8]) -> Result<Self, FormError> {
        let boundary = boundary(content_type).ok_or(FormError::Boundary)?;
        let delimiter = format!("--{boundary}");
        let mut parts: Vec<Part<'a>> = Vec::new();
        // Where the part that is being read begins, once there is one.
        let mut start: Option<usize> = None;
        for at in memmem::find_iter(body, delimiter.as_bytes()) {
            let behind = at + delimiter.len();
            if let Some(start) = start {
                match body.get(..at).unwrap_or_default() {
                    // An empty line and the boundary's own line break are both needed.
                    [.., b'\r', b'\n'] if at >= start + 2 => parts.push(part(body, start..at - 2)?),
                    [.., b'\r' | b'\n'] => return Err(FormError::Delimiter(at)),
                    _ => continue,
                }
            } else if at != 0 {
                break;
            }
            match body.get(behind..).unwrap_or_default() {
                [b'\r', b'\n', ..] if parts.len() >= PARTS_MAX => return Err(FormError::TooManyParts),
                [b'\r', b'\n', ..] => start = Some(behind + 2),
                [b'-', b'-'] | [b'-', b'-', b'\r', b'\n'] if start.is_some() => {
                    return Self { body, boundary, parts }.checked();
                }
                [b'-', b'-', ..] => return Err(FormError::BehindEnd(behind + 2)),
                _ => return Err(FormError::Delimiter(at)),
            }
        }
        Err(if start.is_some() { FormError::Truncated } else { FormError::Start })
    }

    fn checked(self) -> Result<Self, FormError> {
        for read in READ {
            let mut spelt = self.parts.iter().filter(|part| part.is_spelt(read));
            match (spelt.next(), spelt.next()) {
                (Some(part), None) if part.name == read && !part.is_file => {}
                (None, _) => {}
                _ => return Err(FormError::Ambiguous(read)),
            }
        }
        Ok(self)
    }

    /// The value of a field, of its first part that is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let part = self.parts.iter().find(|part| part.name == name && !part.is_file)?;
        std::str::from_utf8(self.body.get(part.value.clone())?).ok()
    }

    /// Whether there is a field that some server could read by this name.
    pub fn has_like(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.is_spelt(name))
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name == name)
    }

    /// Its files, without names and content.
    pub fn files(&self) -> Vec<v1::FormFile> {
        let files = self.parts.iter().filter(|part| part.is_file);
        files
            .map(|part| v1::FormFile {
                field: part.name.to_owned(),
                media_type: part.media_type.to_owned(),
                bytes: part.value.len() as u64,
            })
            .collect()
    }

    /// What makes this the model's name; a form without one gets it where it is `required`. `None` where
    /// the name could be taken for a boundary.
    pub fn model_edits(&self, model: &str, required: bool) -> Option<BodyEdits> {
        let delimiter = format!("--{}", self.boundary);
        if model.contains(&delimiter) {
            return None;
        }
        let Some(part) = self.parts.iter().find(|part| part.name == READ[0]) else {
            let text =
                format!("{delimiter}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n");
            return Some(BodyEdits::of(if required { vec![(0..0, text)] } else { Vec::new() }));
        };
        if self.body.get(part.value.clone()) == Some(model.as_bytes()) {
            return Some(BodyEdits::default());
        }
        let length = part.length.clone().map(|length| (length, model.len().to_string()));
        Some(BodyEdits::of(length.into_iter().chain([(part.value.clone(), model.to_owned())]).collect()))
    }
}

/// The boundary that a form's content-type names.
fn boundary(content_type: &[u8]) -> Option<&str> {
    let at = content_type.iter().position(|byte| *byte == b';')?;
    let parameters = parameters(content_type.get(at..)?)?;
    // Some servers read names and values by it, and so another model than is seen here.
    let is_charset = |name: &[u8]| name.to_ascii_lowercase().starts_with(b"charset");
    if parameters.iter().any(|(name, value)| is_charset(name) && !value.eq_ignore_ascii_case(b"utf-8")) {
        return None;
    }
    let mut found = parameters.into_iter();
    let (_, boundary) = found.find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"))?;
    let once = found.all(|(name, _)| !name.to_ascii_lowercase().starts_with(b"boundary"));
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    let valid = once
        && (1..=BOUNDARY_MAX).contains(&boundary.len())
        && boundary.iter().all(allowed)
        && boundary.last() != Some(&b' ');
    valid.then(|| std::str::from_utf8(boundary).ok()).flatten()
}

/// A part, whose headers and value stand at `place`.
fn part(body: &[u8], place: Range<usize>) -> Result<Part<'_>, FormError> {
    let at = place.start;
    let whole = body.get(place.clone()).unwrap_or_default();
    let searched = whole.get(..HEAD_MAX + 4).unwrap_or(whole);
    let end = memmem::find(searched, b"\r\n\r\n").ok_or(FormError::Head(at))?;
    let value = at + end + 4..place.end;
    let head = whole.get(..end).unwrap_or_default();
    let (mut disposition, mut media_type, mut length) = (None, None, None);
    let mut start = at;
    for line in lines(head) {
        let end = start + line.len();
        let colon = line.iter().position(|byte| *byte == b':').ok_or(FormError::Head(at))?;
        let (name, rest) = line.split_at_checked(colon).ok_or(FormError::Head(at))?;
        let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || *byte == b'\t';
        if !is_token(name) || !rest.iter().all(is_text) {
            return Err(FormError::Head(at));
        }
        let text = rest.get(1..).unwrap_or_default();
        let value = text.trim_ascii();
        let leading = text.len() - text.trim_ascii_start().len();
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"content-disposition" => &mut disposition,
            b"content-type" => &mut media_type,
            b"content-length" => &mut length,
            b"content-transfer-encoding" => {
                let plain: [&[u8]; 3] = [b"binary", b"8bit", b"7bit"];
                if !plain.iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
                    return Err(FormError::Encoded(at));
                }
                start = end + 2;
                continue;
            }
            _ => {
                start = end + 2;
                continue;
            }
        };
        let from = start + colon + 1 + leading;
        if slot.replace((value, from..from + value.len())).is_some() {
            return Err(FormError::Disposition(at));
        }
        start = end + 2;
    }
    let length = match length {
        Some((digits, _)) if digits != value.len().to_string().as_bytes() => {
            return Err(FormError::Encoded(at));
        }
        given => given.map(|(_, place)| place),
    };
    let (name, is_file) = disposition.and_then(|(text, _)| field(text)).ok_or(FormError::Disposition(at))?;
    let media_type = media_type.and_then(|(text, _)| std::str::from_utf8(text).ok()).unwrap_or_default();
    let media_type = media_type.get(..media_type.floor_char_boundary(MEDIA_TYPE_MAX)).unwrap_or_default();
    Ok(Part { name, is_file, media_type, value, length })
}

/// Lines, each but the last ended by CR LF.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memmem::find(text, b"\r\n");
        rest = end.and_then(|end| text.get(end + 2..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// The name of the field that a content-disposition gives, and whether its value is a file.
fn field(disposition: &[u8]) -> Option<(&str, bool)> {
    let end = disposition.iter().position(|byte| *byte == b';')?;
    let (kind, rest) = disposition.split_at_checked(end)?;
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let (mut name, mut is_file) = (None, false);
    for (key, value) in parameters(rest)? {
        let key = key.to_ascii_lowercase();
        match key.as_slice() {
            b"name" if name.is_none() => name = Some(value),
            b"filename" | b"filename*" => is_file = true,
            // The name twice, in pieces or in another character set (RFC 2231).
            _ if key.starts_with(b"name") => return None,
            _ => {}
        }
    }
    // Nothing in it that could be escaped, encoded, folded or trimmed, so all read the same name.
    let name = std::str::from_utf8(name?).ok()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    ((1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)).then_some((name, is_file))
}

/// The parameters of a header's value from its first `;` on. What stands in quotes is given as it
/// stands there, escapes and all.
fn parameters(mut rest: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_ascii();
        if rest.is_empty() {
            return Some(found);
        }
        rest = rest.strip_prefix(b";")?.trim_ascii_start();
        let Some(equals) = rest.iter().position(|byte| *byte == b'=') else {
            return rest.is_empty().then_some(found);
        };
        let (name, value) = rest.split_at_checked(equals)?;
        let value = value.get(1..)?;
        let taken;
        (taken, rest) = match value.strip_prefix(b"\"") {
            Some(quoted) => {
                let mut is_escaped = false;
                let end = quoted.iter().position(|byte| {
                    let ends = *byte == b'"' && !is_escaped;
                    is_escaped = *byte == b'\\' && !is_escaped;
                    ends
                })?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            None => {
                let is_end = |byte: &u8| matches!(byte, b';' | b' ' | b'\t' | b'"');
                value.split_at_checked(value.iter().position(is_end).unwrap_or(value.len()))?
            }
        };
        if !is_token(name) || found.len() >= PARAMETERS_MAX {
            return None;
        }
        found.push((name, taken));
    }
}

fn is_token(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(allowed)
}
