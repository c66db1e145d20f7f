//! The fields of an API that carry no content: names of models, roles, types, ids, times.
//!
//! A field is named by its whole path from the body's root, arrays left out, so a field of the same
//! name in an object that the caller or the model fills as it likes (metadata, arguments of tools,
//! their results and schemas) is none of these. What is not named here is searched. Where a name ends
//! with `!`, the field repeats content token by token, so that nothing could be found in it: where
//! content is redacted, it is emptied.

use weir_event::words;

use crate::redact::json::keys;

/// How the name of a field ends that repeats content.
const REPEATS: char = '!';
/// Most digits of a label.
const LABEL_DIGITS: usize = 8;

/// Fields without content in one direction of one family of APIs, sorted.
#[derive(Clone, Copy, Debug)]
pub struct Fields(&'static [&'static str]);

impl Fields {
    /// No field is left out.
    pub const NONE: Self = Self(&[]);

    /// These fields, which must be sorted.
    pub const fn new(fields: &'static [&'static str]) -> Self {
        Self(fields)
    }

    /// The place of the body's root.
    pub(crate) fn root(self) -> Place {
        Place { fields: self.0, depth: 0, is_free: self.0.is_empty() }
    }
}

/// A place in a body: the fields without content that begin with its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    fields: &'static [&'static str],
    /// How many bytes of them the path has, with its dot.
    depth: usize,
    /// Whether it is within an object that the caller or the model fills.
    is_free: bool,
}

impl Place {
    /// The place of a member of the object at this place.
    pub fn member(self, key: &str) -> Self {
        // They are in order, so those that begin with the key follow each other.
        let first = self.fields.partition_point(|field| field.get(self.depth..).unwrap_or_default() < key);
        let others = self.fields.get(first..).unwrap_or_default();
        let begins = |field: &&&str| {
            let rest = field.get(self.depth..).and_then(|rest| rest.strip_prefix(key));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', REPEATS]))
        };
        let count = others.iter().take_while(begins).count();
        let is_free = self.is_free || keys::is_free(key, self.depth == 0);
        Self { fields: others.get(..count).unwrap_or_default(), depth: self.depth + key.len() + 1, is_free }
    }

    /// Whether an API defines a key of the object at this place.
    pub fn defines(self, key: &str) -> bool {
        !self.is_free && keys::is_defined(key)
    }

    /// Whether the scalar at this place carries no content.
    pub fn has_no_content(self) -> bool {
        self.fields.iter().any(|field| field.len() + 1 == self.depth)
    }

    /// Whether what stands here repeats content token by token.
    pub fn repeats_content(self) -> bool {
        self.fields.iter().any(|field| field.len() == self.depth && field.ends_with(REPEATS))
    }
}

/// Whether a value can be one of those that an API lists: of letters alone, or lowercase with one short number, such as
/// a date (`web_search_20250305`). Keys and tokens mix more than that.
pub(crate) fn is_label(value: &str) -> bool {
    let mut groups = value.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty());
    let number = groups.next().map_or(0, str::len);
    let is_plain = number == 0
        || number <= LABEL_DIGITS
            && groups.next().is_none()
            && !value.bytes().any(|byte| byte.is_ascii_uppercase());
    is_plain && words::is_word(value)
}

/// Whether a member names one thing of many: by its id, or a model.
pub(crate) fn names_one(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    lower == "model" || ["id", "ids"].iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{FAMILIES, openai};

    #[test]
    fn a_field_is_known_by_its_whole_path_and_nowhere_else() {
        let place = |path: &str| path.split('.').fold(openai::FAMILY.request_fields.root(), Place::member);
        for path in ["model", "messages.role", "messages.content.type", "tool_choice", "tool_choice.type"] {
            assert!(place(path).has_no_content(), "{path}");
        }
        for path in
            ["messages", "messages.content", "metadata.model", "messages.rol", "role", "model.x", "mode"]
        {
            assert!(!place(path).has_no_content(), "{path}");
        }
        assert!(!Fields::NONE.root().member("model").has_no_content());
    }

    #[test]
    fn each_field_is_found_in_its_list() {
        for family in FAMILIES {
            for fields in [family.request_fields, family.response_fields] {
                assert!(fields.0.is_sorted(), "{family:?}");
                for field in fields.0 {
                    let path = field.trim_end_matches(REPEATS);
                    let place = path.split('.').fold(fields.root(), Place::member);
                    assert!(
                        place.has_no_content() != (path != *field)
                            && place.repeats_content() == (path != *field),
                        "{family:?}: {field} is not with those that begin as it does"
                    );
                }
            }
        }
    }
}
