//! What a body names of that which is stored at a provider: responses, conversations, prompts, caches,
//! containers, vector stores, files.
//!
//! A provider keeps these for the account, which all callers share, so each needs a grant. A member counts
//! by its place in the API, in any spelling by case: one of the same name in what callers fill as they like
//! (arguments of tools, their schemas, metadata) is none. Only branches that can hold a reference are
//! descended, and each byte of the body is read once.

#[cfg(test)]
mod tests;

use crate::api::family::places::{ANY, COMMON, Place, Reference, When};
use crate::api::{Family, Feature};
use crate::json::edit::same_key;
use crate::json::scan::{JsonError, Kind, Scanner, Value};

/// The member by which an item is named.
const ID: &str = "id";
/// What may stand beside an id where an item is named and not given.
const BESIDE_ID: [&str; 2] = ["type", "status"];
/// The scheme of what stands in the URL itself (RFC 2397).
const DATA: &str = "data:";
/// Schemes of what anybody can fetch.
const PUBLIC: [&str; 2] = ["http", "https"];
/// Where Gemini's files have their URLs (Gemini API, "Files").
const FILES_HOST: &str = "generativelanguage.googleapis.com";

/// The references of a body: for each grant that they need the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    stored: Option<&'static str>,
    files: Option<&'static str>,
}

impl References {
    /// Finds them among the members of a body.
    pub fn of<'a>(family: &Family, members: impl Iterator<Item = (&'a str, Value<'a>)>) -> Self {
        let mut found = Self::default();
        let places = COMMON.iter().chain(family.places.iter().copied().flatten());
        for (key, value) in members {
            for place in places.clone().filter(|place| place.names(key)) {
                // The body was read before, by the same grammar.
                let _ = found.search(place, &mut Scanner::new(value.raw));
            }
        }
        found
    }

    /// A member whose grant is not given, and that grant.
    pub fn missing(&self, is_granted: impl Fn(Feature) -> bool) -> Option<(&'static str, Feature)> {
        let needed = [(self.stored, Feature::Stored), (self.files, Feature::Files)];
        let needed = needed.into_iter().filter_map(|(member, feature)| Some((member?, feature)));
        needed.into_iter().find(|(_, feature)| !is_granted(*feature))
    }

    fn note(&mut self, reference: &Reference) {
        let slot = match reference.feature {
            Feature::Files => &mut self.files,
            _ => &mut self.stored,
        };
        slot.get_or_insert(reference.member);
    }

    /// Searches the value that comes next, which stands at `place`.
    fn search(&mut self, place: &'static Place, scanner: &mut Scanner<'_>) -> Result<Kind, JsonError> {
        scanner.skip_space();
        match scanner.peek() {
            Some(b'{') if place.is_descended() => self.search_object(place, scanner),
            Some(b'[') if place.is_descended() => self.search_array(place, scanner),
            _ => {
                let value = scanner.value()?;
                if let Some(reference) = &place.reference
                    && reference.when.holds(value)
                {
                    self.note(reference);
                }
                Ok(value.kind)
            }
        }
    }

    fn search_object(&mut self, place: &'static Place, scanner: &mut Scanner<'_>) -> Result<Kind, JsonError> {
        let (mut has_id, mut has_more) = (false, false);
        scanner.expect(b'{', "an object")?;
        scanner.skip_space();
        if scanner.take(b'}').is_some() {
            return Ok(Kind::Object);
        }
        loop {
            scanner.skip_space();
            let key = scanner.key()?.as_str().unwrap_or_default();
            let kind = match place.children.iter().find(|child| child.names(&key)) {
                Some(child) => self.search(child, scanner)?,
                None => scanner.value()?.kind,
            };
            if kind != Kind::Null {
                let is_id = same_key(ID, &key);
                has_id |= is_id;
                has_more |= !is_id && !BESIDE_ID.iter().any(|name| same_key(name, &key));
            }
            scanner.skip_space();
            if scanner.take(b',').is_none() {
                break;
            }
        }
        if let Some(reference) = place.by_id.as_ref().filter(|_| has_id && !has_more) {
            self.note(reference);
        }
        scanner.expect(b'}', "',' or '}'")?;
        Ok(Kind::Object)
    }

    /// Searches the elements as if each stood there alone. No API has lists of lists there.
    fn search_array(&mut self, place: &'static Place, scanner: &mut Scanner<'_>) -> Result<Kind, JsonError> {
        scanner.expect(b'[', "an array")?;
        scanner.skip_space();
        if scanner.take(b']').is_some() {
            return Ok(Kind::Array);
        }
        loop {
            scanner.skip_space();
            match scanner.peek() {
                Some(b'[') => scanner.value()?.kind,
                _ => self.search(place, scanner)?,
            };
            scanner.skip_space();
            if scanner.take(b',').is_none() {
                break;
            }
        }
        scanner.expect(b']', "',' or ']'")?;
        Ok(Kind::Array)
    }
}

impl Place {
    fn names(&self, key: &str) -> bool {
        self.key == ANY || same_key(self.key, key)
    }

    fn is_descended(&self) -> bool {
        !self.children.is_empty() || self.by_id.is_some()
    }
}

impl When {
    fn holds(self, value: Value<'_>) -> bool {
        match self {
            Self::Given => value.kind != Kind::Null && !is_empty_list(value),
            Self::Text => value.kind == Kind::String,
            Self::Is(text) => value.as_str().is_some_and(|value| value == text),
            Self::NotPublic => value.kind == Kind::String && !is_public(value),
            Self::OtherScheme => value.kind == Kind::String && is_of_other_scheme(value),
        }
    }
}

fn is_empty_list(value: Value<'_>) -> bool {
    let inner = value.raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

/// Whether a URL leads to what anybody can fetch, or holds it.
fn is_public(value: Value<'_>) -> bool {
    // Without a look at the whole of it: it can be an image.
    if value.raw.get(1..).is_some_and(|url| url.starts_with(DATA)) {
        return true;
    }
    let url = value.as_str().unwrap_or_default();
    scheme(&url).is_some_and(|scheme| PUBLIC.iter().any(|public| scheme.eq_ignore_ascii_case(public)))
        && !is_files_host(&url)
}

/// Whether a text is the URL of something that not everybody can fetch (`gs:`, `s3:`, `ms:`, `file:`). One
/// that is no URL, such as bare base64, is what it stands for.
fn is_of_other_scheme(value: Value<'_>) -> bool {
    !is_public(value) && scheme(&value.as_str().unwrap_or_default()).is_some()
}

fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.trim_start().split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (!scheme.is_empty() && scheme.bytes().all(is_scheme)).then_some(scheme)
}

/// Whether the host of a URL is that of Gemini's files, however it is written.
fn is_files_host(url: &str) -> bool {
    let authority = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let authority = authority.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let host = percent_encoding::percent_decode_str(host).decode_utf8_lossy();
    host.trim_end_matches('.').eq_ignore_ascii_case(FILES_HOST)
}
