//! The whole numbers of a provider's usage, by their path in it.

use std::collections::BTreeMap;

use crate::api::family::reading::usage::names;
use crate::json::scan::{Kind, Object, Value};
use crate::json::values::objects;

/// Most figures that are held while a response comes.
const HELD_MAX: usize = 64;
/// Most figures of an event.
const EVENT_MAX: usize = 32;
/// Longest path of a figure, and deepest.
const PATH_MAX: usize = 100;
const DEPTH_MAX: usize = 3;
/// Parts of names by which tokens are priced apart from others, in lower case.
const PRICED_APART: [&str; 8] =
    ["audio", "image", "video", "cache", "ephemeral", "search", "request", "billed"];
/// Parts of names that count, so that a text under them may be a number in quotes, in lower case.
const COUNTS: [&str; 3] = ["token", "count", "units"];
/// Where an element of a list of figures has its count.
const ELEMENT_COUNTS: [&str; 4] = ["tokenCount", "token_count", "tokens", "count"];

/// Figures by their path, such as `prompt_tokens_details.audio_tokens`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    by_path: BTreeMap<String, u64>,
    /// How many there was no room for.
    left_out: u32,
}

impl Figures {
    /// The figures of a usage. Names are the provider's to choose, so only plain ones count.
    pub(crate) fn of(usage: &Object<'_>) -> Self {
        let mut figures = Self::default();
        figures.flatten("", usage, 1);
        figures
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// The figure at a path.
    pub(crate) fn at(&self, path: &str) -> Option<u64> {
        self.by_path.get(path).copied()
    }

    /// The figure that goes by one of these names: the first that is not zero, since servers write out zeros
    /// under names that they do not use.
    pub(crate) fn first_of(&self, paths: &[&str]) -> Option<u64> {
        let reported = || paths.iter().filter_map(|path| self.at(path));
        reported().find(|figure| *figure > 0).or_else(|| reported().next())
    }

    /// Takes over later figures, which stand for those of the same path. All counts of a response only grow, so
    /// a zero after a number is a placeholder.
    pub(crate) fn merge(&mut self, later: Self) {
        self.left_out = self.left_out.max(later.left_out);
        for (path, figure) in later.by_path {
            if figure > 0 || self.at(&path).is_none() {
                self.put(path, figure);
            }
        }
    }

    /// How many bytes are held.
    pub(crate) fn held(&self) -> usize {
        self.by_path.keys().map(|path| path.len() + size_of::<u64>()).sum()
    }

    /// The figures of an event, those that matter for price first, and how many were left out.
    pub(crate) fn of_event(&self) -> (BTreeMap<String, u64>, u32) {
        let mut figures: Vec<_> = self.by_path.iter().collect();
        figures.sort_by_key(|(path, figure)| (rank(path), **figure == 0));
        let over = u32::try_from(figures.len().saturating_sub(EVENT_MAX)).unwrap_or(u32::MAX);
        let stored =
            figures.into_iter().take(EVENT_MAX).map(|(path, figure)| (path.clone(), *figure)).collect();
        (stored, self.left_out.saturating_add(over))
    }

    /// Notes a figure; where there is no room, in place of one that matters less.
    fn put(&mut self, path: String, figure: u64) {
        if self.by_path.len() >= HELD_MAX && !self.by_path.contains_key(&path) {
            self.left_out = self.left_out.saturating_add(1);
            let least = self.by_path.keys().max_by_key(|path| rank(path));
            let Some(least) = least.filter(|least| rank(least) > rank(&path)).cloned() else { return };
            self.by_path.remove(&least);
        }
        self.by_path.insert(path, figure);
    }

    fn flatten(&mut self, path: &str, object: &Object<'_>, depth: usize) {
        for (name, value) in object.iter() {
            if !is_plain(name) || path.len() + name.len() > PATH_MAX {
                continue;
            }
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match value.kind {
                Kind::Number | Kind::String => {
                    if let Some(figure) = figure(name, &value) {
                        self.put(path, figure);
                    }
                }
                Kind::Object if depth < DEPTH_MAX => {
                    self.flatten(&path, &value.as_object().unwrap_or_default(), depth + 1);
                }
                Kind::Array => self.flatten_list(&path, value),
                Kind::Object | Kind::Bool | Kind::Null => {}
            }
        }
    }

    /// Figures by modality, as Gemini reports them (`[{"modality": "AUDIO", "tokenCount": 7}]`): each by its
    /// modality behind the list's path.
    fn flatten_list(&mut self, path: &str, list: Value<'_>) {
        for element in objects(Some(list)) {
            let modality = element.text("modality");
            let count = ELEMENT_COUNTS.iter().find_map(|key| count(&element.get(key)?));
            let is_named = !modality.is_empty() && is_plain(&modality);
            if let Some(count) = count.filter(|_| is_named && path.len() + modality.len() <= PATH_MAX) {
                let path = format!("{path}.{modality}");
                let before = self.at(&path).unwrap_or(0);
                self.put(path, before.saturating_add(count));
            }
        }
    }
}

/// A whole number, also one in quotes.
pub(crate) fn count(value: &Value<'_>) -> Option<u64> {
    if value.kind != Kind::String {
        return value.as_u64();
    }
    let text = value.raw.strip_prefix('"')?.strip_suffix('"')?;
    Value { raw: text, kind: Kind::Number, start: 0 }.as_u64()
}

fn figure(name: &str, value: &Value<'_>) -> Option<u64> {
    if value.kind == Kind::Number {
        return value.as_u64();
    }
    let name = name.to_ascii_lowercase();
    COUNTS.iter().any(|part| name.contains(part)).then(|| count(value)).flatten()
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// How much a figure matters, the least first: totals, what is priced apart, the rest.
fn rank(path: &str) -> u8 {
    if names::is_total(path) {
        return 0;
    }
    let path = path.to_ascii_lowercase();
    2 - u8::from(PRICED_APART.iter().any(|part| path.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(json: &str) -> Figures {
        Figures::of(&Object::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn every_whole_number_is_kept_by_its_path_and_nothing_else_is() {
        let figures = figures(
            r#"{"prompt_tokens":1,"cost":0.5,"tier":"t","a b":7,"x":{"audio_tokens":3,"y":{"z":{"n":1},"n":2}},"l":[1]}"#,
        );
        let (figures, left_out) = figures.of_event();
        let paths: Vec<_> = figures.iter().map(|(path, number)| (path.as_str(), *number)).collect();
        assert_eq!(paths, [("prompt_tokens", 1), ("x.audio_tokens", 3), ("x.y.n", 2)]);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn a_number_has_several_forms_and_a_text_is_one_only_where_it_counts() {
        let figures = figures(
            r#"{"a":8.0,"b":8e0,"c":0.8E1,"prompt_tokens":"8","tokenCount":"8.0","version":"2","d":8.5,"e":-1,"f":1e400,"n_tokens":"many"}"#,
        );
        let paths: Vec<_> = figures.by_path.iter().map(|(path, number)| (path.as_str(), *number)).collect();
        assert_eq!(paths, [("a", 8), ("b", 8), ("c", 8), ("prompt_tokens", 8), ("tokenCount", 8)]);
    }

    #[test]
    fn a_list_by_modality_has_a_figure_for_each() {
        let figures = figures(
            r#"{"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9},{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":1.0},{"modality":"no word","tokenCount":5},{"tokenCount":6}]}"#,
        );
        assert_eq!(figures.at("promptTokensDetails.AUDIO"), Some(10));
        assert_eq!(figures.at("promptTokensDetails.TEXT"), Some(10));
        assert_eq!(figures.by_path.len(), 2);
    }

    #[test]
    fn what_matters_for_the_price_is_kept_of_many_and_what_is_left_out_is_counted() {
        let many: Vec<String> = (0..100).map(|n| format!("\"a{n}\":{n}")).collect();
        let figures = figures(&format!(
            r#"{{{},"prompt_tokens":7,"details":{{"audio_tokens":5}},"promptTokensDetails":[{{"modality":"IMAGE","tokenCount":3}}]}}"#,
            many.join(",")
        ));
        let (kept, left_out) = figures.of_event();
        assert_eq!((kept.len(), left_out), (EVENT_MAX, 103 - 32));
        let held = [kept["prompt_tokens"], kept["details.audio_tokens"], kept["promptTokensDetails.IMAGE"]];
        assert_eq!(held, [7, 5, 3]);
    }

    #[test]
    fn later_figures_replace_earlier_ones_and_are_never_added() {
        let mut all = figures(r#"{"input_tokens":10,"cache_read_input_tokens":30,"output_tokens":1}"#);
        all.merge(figures(r#"{"input_tokens":0,"output_tokens":90,"cache_creation_input_tokens":0}"#));
        let told =
            ["input_tokens", "cache_read_input_tokens", "output_tokens", "cache_creation_input_tokens"];
        assert_eq!(told.map(|path| all.at(path)), [Some(10), Some(30), Some(90), Some(0)]);
    }
}
