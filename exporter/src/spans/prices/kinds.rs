//! What is billed beside tokens of text: tokens of sound, pictures and film, and calls that have a price of
//! their own. Read from the provider's figures by their names.
//!
//! OpenAI's figures are named `prompt_tokens_details.audio_tokens`; Gemini's stand in lists by modality, so
//! they are `promptTokensDetails.AUDIO`. How a figure of an unknown kind is billed is not known either.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::marks::{last, plain};

/// Searches of the web that the provider made (Anthropic API, "Web search tool", "Usage and pricing").
const SEARCHES: &str = "websearchrequests";

/// Calls that cost no more than their tokens (Anthropic API, "Web fetch tool").
const FREE_CALLS: &str = "webfetchrequests";

/// What the names of other figures end with that count calls, and not tokens: Anthropic's, OpenAI's, xAI's,
/// Perplexity's and others'.
const CALLS: [&str; 6] =
    ["requests", "calls", "toolsused", "numsearchqueries", "numsourcesused", "searchunits"];

/// Words in the name of a figure that count something else than text.
const MEDIA: [&str; 3] = ["audio", "image", "video"];

/// A kind of tokens that a price may be set for apart from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Sound.
    Audio,
    /// Pictures, and the pages of documents, which are read as pictures.
    Image,
    /// Film.
    Video,
}

/// Tokens by kind.
pub(super) type Counts = BTreeMap<Kind, u64>;

/// What the figures of a usage say beside its totals.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    /// Those of the input tokens.
    pub input: Counts,
    /// Those of the output tokens.
    pub output: Counts,
    /// Those of the tokens that the cache had; `None` where it is not reported what the cached tokens are.
    pub cached: Option<Counts>,
    /// Searches of the web.
    pub searches: u64,
}

/// Where tokens of a kind belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Input,
    /// Put into the prompt by tools, beside the other input (Gemini API, "UsageMetadata").
    Tools,
    Cached,
    Output,
}

impl Kinds {
    /// Reads the figures; `None` where one of them counts what no price is known for.
    pub(super) fn of<'f>(figures: impl IntoIterator<Item = (&'f String, &'f u64)>) -> Option<Self> {
        // By list, because the same may be reported in two of them, as prompt and as input tokens.
        let mut lists: BTreeMap<(Side, &str), Counts> = BTreeMap::new();
        let mut kinds = Self::default();
        for (path, count) in figures {
            let list = path.rsplit_once('.').map_or("", |(list, _)| list);
            let (name, side) = (last(path), side(list));
            if side == Some(Side::Cached) {
                kinds.cached.get_or_insert_default();
            }
            if *count == 0 || name == FREE_CALLS {
                continue;
            }
            match kind(&name) {
                Some(Some(kind)) => {
                    let known = lists.entry((side?, list)).or_default().entry(kind).or_default();
                    *known = known.saturating_add(*count);
                }
                Some(None) => {}
                None if name == SEARCHES => kinds.searches = kinds.searches.max(*count),
                None if is_apart(path, &name) => return None,
                None => {}
            }
        }
        for ((side, _), counts) in lists {
            for (kind, count) in counts {
                let known = match side {
                    Side::Input | Side::Tools => &mut kinds.input,
                    Side::Output => &mut kinds.output,
                    Side::Cached => kinds.cached.get_or_insert_default(),
                };
                let known = known.entry(kind).or_default();
                *known = if side == Side::Tools { known.saturating_add(count) } else { count.max(*known) };
            }
        }
        Some(kinds)
    }
}

/// The kind that a figure counts by its name alone: one that may be apart, or text.
fn kind(name: &str) -> Option<Option<Kind>> {
    let word =
        ["tokencount", "tokens", "token"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    Some(match word {
        "audio" => Some(Kind::Audio),
        "image" | "document" => Some(Kind::Image),
        "video" => Some(Kind::Video),
        "text" => None,
        _ => return None,
    })
}

/// The side that a list of figures is about; `None` where it does not say.
fn side(list: &str) -> Option<Side> {
    let name = last(list);
    let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if is(&["cache"]) {
        Some(Side::Cached)
    } else if is(&["tooluse"]) {
        Some(Side::Tools)
    } else if is(&["prompt", "input"]) {
        Some(Side::Input)
    } else if is(&["completion", "candidates", "output", "response", "thoughts"]) {
        Some(Side::Output)
    } else {
        None
    }
}

/// Whether a figure, not of a known kind, is one that is billed apart: a call, seconds of sound, or a
/// modality that is new.
fn is_apart(path: &str, name: &str) -> bool {
    let own = path.rsplit('.').next().unwrap_or_default();
    let listed = path.rsplit_once('.').is_some_and(|(list, _)| plain(list).ends_with("tokensdetails"));
    let is_modality = listed && own.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_modality || CALLS.iter().any(|end| name.ends_with(end)) || MEDIA.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(figures: &[(&str, u64)]) -> Option<Kinds> {
        let figures: Vec<_> = figures.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect();
        Kinds::of(figures.iter().map(|(path, count)| (path, count)))
    }

    #[test]
    fn a_kind_is_found_under_each_of_its_names() {
        for (path, count) in [
            ("prompt_tokens_details.audio_tokens", 4),
            ("input_tokens_details.audio_tokens", 4),
            ("input_token_details.audio_tokens", 4),
            ("promptTokensDetails.AUDIO", 4),
            ("prompt_tokens_details.AUDIO", 4),
            ("toolUsePromptTokensDetails.AUDIO", 4),
        ] {
            let found = kinds(&[(path, count)]).unwrap();
            assert_eq!(found, Kinds { input: [(Kind::Audio, 4)].into(), ..Kinds::default() }, "{path}");
        }
        for (path, kind) in [
            ("completion_tokens_details.audio_tokens", Kind::Audio),
            ("candidatesTokensDetails.IMAGE", Kind::Image),
            ("responseTokensDetails.VIDEO", Kind::Video),
        ] {
            assert_eq!(kinds(&[(path, 7)]).unwrap().output, [(kind, 7)].into(), "{path}");
        }
    }

    #[test]
    fn text_and_what_was_counted_as_none_are_nothing_apart() {
        let figures = [
            ("promptTokensDetails.TEXT", 10),
            ("completion_tokens_details.text_tokens", 3),
            ("completion_tokens_details.audio_tokens", 0),
            ("completion_tokens_details.reasoning_tokens", 3),
            ("cache_creation.ephemeral_1h_input_tokens", 3),
            ("server_tool_use.web_search_requests", 0),
            ("server_tool_use.web_fetch_requests", 2),
            ("total_tokens", 3),
        ];
        let found = kinds(&figures).unwrap();
        assert!(found.input.is_empty() && found.output.is_empty() && found.searches == 0, "{found:?}");
    }

    #[test]
    fn what_stands_in_two_lists_is_counted_once_and_what_tools_add_is_added() {
        let figures = [
            ("prompt_tokens_details.audio_tokens", 4),
            ("input_tokens_details.audio_tokens", 4),
            ("toolUsePromptTokensDetails.AUDIO", 2),
            ("promptTokensDetails.IMAGE", 5),
            ("promptTokensDetails.DOCUMENT", 6),
        ];
        let found = kinds(&figures).unwrap();
        assert_eq!(found.input, [(Kind::Audio, 6), (Kind::Image, 11)].into());
    }

    #[test]
    fn what_the_cache_had_is_known_only_where_it_is_told() {
        assert_eq!(kinds(&[("cached_tokens", 5)]).unwrap().cached, None);
        assert_eq!(kinds(&[("cacheTokensDetails.TEXT", 5)]).unwrap().cached, Some(Counts::new()));
        let sound = kinds(&[("prompt_tokens_details.cached_tokens_details.audio_tokens", 5)]).unwrap();
        assert_eq!(sound.cached, Some([(Kind::Audio, 5)].into()));
    }

    #[test]
    fn searches_are_counted_and_other_calls_and_kinds_have_no_price() {
        assert_eq!(kinds(&[("server_tool_use.web_search_requests", 2)]).unwrap().searches, 2);
        for path in [
            "server_tool_use.code_execution_requests",
            "tool_usage.web_search.num_requests",
            "server_side_tool_usage_details.x_search_calls",
            "num_search_queries",
            "num_sources_used",
            "billed_units.search_units",
            "billed_units.images",
            "prompt_audio_seconds",
            "audio_tokens",
            "promptTokensDetails.MODALITY_UNSPECIFIED",
            "promptTokensDetails.SMELL",
        ] {
            assert_eq!(kinds(&[(path, 1)]), None, "{path}");
            assert!(kinds(&[(path, 0)]).is_some(), "{path}");
        }
    }
}
