//! Words of a known form: what callers and providers write into an event beside content.
//!
//! A provider can answer with a sentence where its API has a word (`"error": {"type": "my patient …"}`), and a caller
//! can ask for a model by one. So each such text has a form: a bounded length, few characters, and no number long
//! enough for a card or an account. What has not the form is content, and goes where content goes.

/// The longest word in bytes.
const WORD_MAX: usize = 64;
/// The longest id in bytes.
const ID_MAX: usize = 256;
/// The longest name of a model in bytes.
const MODEL_MAX: usize = 128;
/// The longest path or authority in bytes.
const PATH_MAX: usize = 512;
/// The most digits in a row: a cloud's account has 12, a payment card 13 or more.
const DIGITS_MAX: usize = 12;
/// Stands for a segment of a path that is no word.
const ELSE: &str = "_";

/// Whether a text can be the name of something that an API defines: an error's type, a finish reason, a tier, a
/// parameter's choice, the path of a figure.
pub fn is_word(text: &str) -> bool {
    is_of(text, WORD_MAX, b"_-.:/+#[]") && starts_plainly(text) && has_no_long_number(text)
}

/// Whether a text can be an id: as random as any, so its digits are not counted.
pub fn is_id(text: &str) -> bool {
    is_of(text, ID_MAX, b"_-.:/+=~")
}

/// Whether a text can be a model's name. An `@` may begin it (`@cf/meta/…`) or stand before a version
/// (`claude-sonnet-4@20250514`), and never before a domain.
pub fn is_model(text: &str) -> bool {
    let is_address = text.match_indices('@').any(|(at, _)| {
        let after = text.get(at + 1..).unwrap_or_default();
        at > 0 && (after.is_empty() || !after.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    });
    is_of(text, MODEL_MAX, b"_-.:/+@") && !is_address && has_no_long_number(text)
}

/// Whether a text can be a host with a port: `api.example.com:8443`, `[::1]:80`.
pub fn is_authority(text: &str) -> bool {
    is_of(text, PATH_MAX, b"_-.:[]") && has_no_long_number(text)
}

/// Whether a text can be Envoy's account of how a response ended, such as
/// `upstream_reset_before_response_started{connection_failure}`.
pub fn is_detail(text: &str) -> bool {
    is_of(text, ID_MAX, b"_-.:{}|,()=/[]") && has_no_long_number(text)
}

/// Whether a text can be a media type, such as `audio/mpeg`.
pub fn is_media_type(text: &str) -> bool {
    text.split('/').count() == 2 && text.split('/').all(is_word)
}

/// A path as it may be shown: a segment that is neither a word nor a model's name is replaced by `_`.
pub fn path(text: &str) -> String {
    let shown = |segment| match segment {
        "" => "",
        segment if is_word(segment) || is_model(segment) => segment,
        _ => ELSE,
    };
    let mut path = text.split('/').map(shown).collect::<Vec<_>>().join("/");
    path.truncate(path.floor_char_boundary(PATH_MAX));
    path
}

/// The product that a user agent begins with, and its version (RFC 9110, section 10.1.5): `curl/8.5.0`,
/// `OpenAI/Python 1.50.0`. Empty where it names no product that way; comments are nobody's product.
pub fn product(text: &str) -> String {
    let mut words = text.split(' ');
    let Some(first) = words.next().filter(|first| first.contains('/') && is_word(first)) else {
        return String::new();
    };
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && is_word(word);
    match words.next().filter(is_version) {
        Some(version) => format!("{first} {version}"),
        None => first.to_owned(),
    }
}

/// The members of a `tracestate` (W3C Trace Context, section 3.3) whose keys and values are words.
pub fn trace_state(text: &str) -> String {
    let is_member = |member: &&str| {
        let (key, value) = member.split_once('=').unwrap_or_default();
        is_of(key, ID_MAX, b"_-*/@") && is_of(value, ID_MAX, b"_-.:;/+~*") && has_no_long_number(key)
    };
    text.split(',').map(str::trim).filter(is_member).collect::<Vec<_>>().join(",")
}

/// Whether a text is of letters, digits and these other characters, 1 byte at least and `most` at most.
fn is_of(text: &str, most: usize, others: &[u8]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (1..=most).contains(&text.len()) && text.bytes().all(allowed)
}

fn starts_plainly(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether no number has too many digits, also where they stand in groups (`4111-1111-1111-1111`).
fn has_no_long_number(text: &str) -> bool {
    let mut digits = 0;
    text.bytes().all(|byte| {
        digits = match byte {
            b'0'..=b'9' => digits + 1,
            b'-' | b'.' | b'_' => digits,
            _ => 0,
        };
        digits <= DIGITS_MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apis_define_are_words_and_what_people_write_is_not() {
        for word in [
            "invalid_request_error",
            "RESOURCE_EXHAUSTED",
            "com.amazon.coral#ThrottlingException",
            "429",
            "end_turn",
            "prompt_tokens_details.audio_tokens",
            "usage.iterations[0].input_tokens",
            "on_demand",
        ] {
            assert!(is_word(word), "{word}");
        }
        for other in [
            "",
            "my patient John Doe",
            "jane.doe@acme.io",
            "4111111111111111",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111",
            "+4930123456789012",
            "é",
            "a\u{a0}b",
            "<b>",
            &"a".repeat(65),
        ] {
            assert!(!is_word(other), "{other}");
        }
    }

    #[test]
    fn names_of_models_and_ids_keep_their_forms_and_addresses_are_none() {
        for model in [
            "gpt-4o-2024-08-06",
            "@cf/meta/llama-3.1-8b-instruct",
            "claude-sonnet-4@20250514",
            "claude-sonnet-4@latest",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/x",
            "ft:gpt-4o-mini-2024-07-18:acme::9aBcD1",
        ] {
            assert!(is_model(model), "{model}");
        }
        for other in ["jane.doe@acme.io", "a model", "x@", "4111111111111111", &"m".repeat(129)] {
            assert!(!is_model(other), "{other}");
        }
        assert!(is_id("chatcmpl-9aBcD1") && is_id("8313807536837492492") && is_id("aGVsbG8gd29ybGQ="));
        assert!(!is_id("an id") && !is_id("jane.doe@acme.io") && !is_id(&"i".repeat(257)));
    }

    #[test]
    fn of_a_path_a_user_agent_and_a_trace_state_the_plain_parts_are_left() {
        assert_eq!(
            path("/v1beta/models/gemini-2.5-pro:generateContent"),
            "/v1beta/models/gemini-2.5-pro:generateContent"
        );
        assert_eq!(path("/v1/jane.doe@acme.io/my%20patient/x"), "/v1/_/_/x");
        assert_eq!(path("/"), "/");
        assert_eq!(product("OpenAI/Python 1.50.0"), "OpenAI/Python 1.50.0");
        assert_eq!(product("Mozilla/5.0 (X11; Jane Doe's) Gecko/1"), "Mozilla/5.0");
        assert_eq!(product("my patient John"), "");
        assert_eq!(product("curl/8.5.0 jane"), "curl/8.5.0");
        let state = "dd=s:2;o:rum,ot=th:fd70a4,x=my patient,t@v=1,jane=doe@acme.io";
        assert_eq!(trace_state(state), "dd=s:2;o:rum,ot=th:fd70a4,t@v=1");
    }

    #[test]
    fn hosts_details_and_media_types_have_forms_of_their_own() {
        assert!(is_authority("[::1]:8080") && is_authority("api.example.com:8443"));
        assert!(!is_authority("jane@acme.io") && !is_authority("a b"));
        assert!(is_detail(
            "upstream_reset_before_response_started{connection_failure|delayed_connect_error:_111}"
        ));
        assert!(!is_detail("my patient"));
        assert!(is_media_type("audio/mpeg") && !is_media_type("my patient/x") && !is_media_type("audio"));
    }
}
