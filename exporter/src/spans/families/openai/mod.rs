//! OpenAI's APIs, also as many others speak them.

mod chat;
mod other;
mod parts;
mod responses;

use weir_event::v1::Api;

pub(super) use chat::{message, request};
pub(super) use parts::content;

use crate::spans::messages::spec::ApiSpec;

/// What the type of a part of a chat is that stands for its sound.
const AUDIO: &str = "audio";

const CHAT: ApiSpec = ApiSpec {
    family: "openai",
    operation: "chat",
    output_type: "",
    openai_type: "chat_completions",
    openinference: "LLM",
    tfy: "ChatCompletion",
    is_chat: true,
    is_without_reasons: false,
    request: chat::request,
    response: chat::response,
    part: |kind, value| if kind == AUDIO { chat::spoken(value) } else { parts::content(value) },
};

/// One of those without a conversation.
const OTHER: ApiSpec = ApiSpec {
    openai_type: "",
    tfy: "",
    is_chat: false,
    request: other::request,
    response: |_| Vec::new(),
    part: |_, value| parts::content(value),
    ..CHAT
};

const WITHOUT_REASONS: ApiSpec = ApiSpec { is_without_reasons: true, ..OTHER };

const IMAGE: ApiSpec = ApiSpec {
    operation: "generate_content",
    output_type: "image",
    response: other::images,
    ..WITHOUT_REASONS
};

static CHATS: ApiSpec = CHAT;
static RESPONSES: ApiSpec = ApiSpec {
    openai_type: "responses",
    tfy: "AgentResponse",
    request: responses::request,
    response: responses::response,
    part: |_, value| responses::entry(value).parts,
    ..CHAT
};
static COMPLETIONS: ApiSpec =
    ApiSpec { operation: "text_completion", tfy: "Completion", response: other::completion, ..OTHER };
static EMBEDDINGS: ApiSpec =
    ApiSpec { operation: "embeddings", openinference: "EMBEDDING", tfy: "Embedding", ..OTHER };
static IMAGES: ApiSpec = IMAGE;
static SPEECH: ApiSpec = ApiSpec { operation: "generate_content", output_type: "speech", ..WITHOUT_REASONS };
static TRANSCRIPTION: ApiSpec =
    ApiSpec { operation: "transcription", response: other::transcript, ..WITHOUT_REASONS };
static TRANSLATION: ApiSpec =
    ApiSpec { operation: "translation", response: other::transcript, ..WITHOUT_REASONS };
static MODERATIONS: ApiSpec = ApiSpec {
    operation: "moderation",
    openinference: "GUARDRAIL",
    response: other::moderation,
    ..WITHOUT_REASONS
};

/// What an API of OpenAI's is like.
pub(super) fn spec(api: Api) -> Option<&'static ApiSpec> {
    Some(match api {
        Api::OpenaiChat => &CHATS,
        Api::OpenaiResponses => &RESPONSES,
        Api::OpenaiCompletions => &COMPLETIONS,
        Api::OpenaiEmbeddings => &EMBEDDINGS,
        Api::OpenaiImages | Api::OpenaiImageEdit | Api::OpenaiImageVariation => &IMAGES,
        Api::OpenaiSpeech => &SPEECH,
        Api::OpenaiTranscription => &TRANSCRIPTION,
        Api::OpenaiTranslation => &TRANSLATION,
        Api::OpenaiModerations => &MODERATIONS,
        _ => return None,
    })
}
