//! OpenAI's APIs, Azure's forms of them, and what is compatible with them.

mod chat;
mod chat_stream;
mod completions;
mod media;
mod providers;
mod request;
mod responses;
mod responses_stream;

use serde_json::json;
use weir_event::v1;

use crate::api::family::operation::Operation;
use crate::api::family::reading::usage::terms;
use crate::api::family::{Api, Family};
use crate::redact::Fields;

#[cfg(test)]
pub(crate) use providers::REPORTING_HOSTS;

/// OpenAI API reference, "Chat Completions".
pub static CHAT: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        may_stream: true,
        says_end: true,
        needs_messages: true,
        asks_for_usage: true,
        dialect: Some(&chat::DIALECT),
        ..Operation::new(v1::Api::OpenaiChat, "chat")
    },
};
/// OpenAI API reference, "Responses".
pub static RESPONSES: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        may_stream: true,
        says_end: true,
        ..Operation::new(v1::Api::OpenaiResponses, "chat")
    },
};
/// OpenAI API reference, "Completions" (legacy).
pub static COMPLETIONS: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        may_stream: true,
        says_end: true,
        asks_for_usage: true,
        dialect: Some(&completions::DIALECT),
        ..Operation::new(v1::Api::OpenaiCompletions, "text_completion")
    },
};
/// OpenAI API reference, "Embeddings".
pub static EMBEDDINGS: Api =
    Api { family: &FAMILY, operation: &Operation::new(v1::Api::OpenaiEmbeddings, "embeddings") };
/// OpenAI API reference, "Images", "Create image".
pub static IMAGES: Api = Api {
    family: &FAMILY,
    operation: &Operation { says_end: true, ..Operation::new(v1::Api::OpenaiImages, "generate_content") },
};
/// OpenAI API reference, "Audio", "Create speech".
pub static SPEECH: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        says_end: true,
        responds_in_json: false,
        ..Operation::new(v1::Api::OpenaiSpeech, "generate_content")
    },
};
/// OpenAI API reference, "Moderations".
pub static MODERATIONS: Api =
    Api { family: &FAMILY, operation: &Operation::new(v1::Api::OpenaiModerations, "moderation") };
/// OpenAI API reference, "Audio", "Create transcription": a form.
pub static TRANSCRIPTION: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        says_end: true,
        responds_in_json: false,
        form: Some(media::form_parameters),
        ..Operation::new(v1::Api::OpenaiTranscription, "transcription")
    },
};
/// OpenAI API reference, "Audio", "Create translation": a form.
pub static TRANSLATION: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        responds_in_json: false,
        form: Some(media::form_parameters),
        ..Operation::new(v1::Api::OpenaiTranslation, "translation")
    },
};
/// OpenAI API reference, "Images", "Create image edit": a form.
pub static IMAGE_EDIT: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        says_end: true,
        form: Some(media::form_parameters),
        ..Operation::new(v1::Api::OpenaiImageEdit, "generate_content")
    },
};
/// OpenAI API reference, "Images", "Create image variation": a form.
pub static IMAGE_VARIATION: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        form: Some(media::form_parameters),
        ..Operation::new(v1::Api::OpenaiImageVariation, "generate_content")
    },
};

/// All that is OpenAI's own.
pub static FAMILY: Family = Family {
    name: "openai",
    routes: &ROUTES,
    claims: |path| path.starts_with("/v1beta/openai"),
    providers: &[&providers::OPENAI, &providers::AZURE],
    model_prefix: "",
    request_headers: &["openai-beta"],
    response_headers: &["openai-"],
    request_fields: Fields::new(request::FIELDS),
    response_fields: Fields::new(responses::FIELDS),
    parameters: request::parameters,
    places: &[request::PLACES],
    dialect: responses::DIALECT,
    streams_arrays: false,
    usage: |figures, _, generates| terms::compatible(figures, generates),
    error: |error| {
        let (message, kind, param, code) = (error.message, error.kind, error.param, error.code);
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}}).to_string()
    },
    says_pause_in_body: false,
};

static ROUTES: [(&str, Api); 31] = [
    ("/v1/chat/completions", CHAT),
    ("/v1/responses", RESPONSES),
    ("/v1/completions", COMPLETIONS),
    ("/v1/embeddings", EMBEDDINGS),
    ("/v1/images/generations", IMAGES),
    ("/v1/audio/speech", SPEECH),
    ("/v1/moderations", MODERATIONS),
    ("/v1/audio/transcriptions", TRANSCRIPTION),
    ("/v1/audio/translations", TRANSLATION),
    ("/v1/images/edits", IMAGE_EDIT),
    ("/v1/images/variations", IMAGE_VARIATION),
    ("/openai/deployments/{deployment}/chat/completions", CHAT),
    ("/openai/deployments/{deployment}/completions", COMPLETIONS),
    ("/openai/deployments/{deployment}/embeddings", EMBEDDINGS),
    ("/openai/deployments/{deployment}/images/generations", IMAGES),
    ("/openai/deployments/{deployment}/images/edits", IMAGE_EDIT),
    ("/openai/deployments/{deployment}/audio/speech", SPEECH),
    ("/openai/deployments/{deployment}/audio/transcriptions", TRANSCRIPTION),
    ("/openai/deployments/{deployment}/audio/translations", TRANSLATION),
    ("/openai/v1/chat/completions", CHAT),
    ("/openai/v1/responses", RESPONSES),
    ("/openai/v1/completions", COMPLETIONS),
    ("/openai/v1/embeddings", EMBEDDINGS),
    ("/openai/v1/images/generations", IMAGES),
    ("/openai/v1/images/edits", IMAGE_EDIT),
    ("/openai/v1/audio/speech", SPEECH),
    ("/openai/v1/audio/transcriptions", TRANSCRIPTION),
    ("/openai/v1/audio/translations", TRANSLATION),
    ("/v1beta/openai/chat/completions", CHAT),
    ("/v1beta/openai/embeddings", EMBEDDINGS),
    ("/v1beta/openai/images/generations", IMAGES),
];
