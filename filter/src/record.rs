//! What a finished request leaves behind: its attempts told to their end, and what this VM has
//! learnt of the targets.

use weir_event::v1;

use crate::api::Api;
use crate::exchange::Exchange;
use crate::vm::Vm;

/// Ends every attempt, and notes which targets failed and how fast the one that answered was.
pub fn settle(exchange: &mut Exchange, ending: v1::Ending, vm: &Vm) {
    let done_ns = exchange.timing.done_ns;
    let mut targets = vm.targets.borrow_mut();
    let last = exchange.attempts.len().saturating_sub(1);
    let hurried = exchange.decision.as_ref().is_some_and(|decision| decision.hurried);
    // A caller that goes away, or that set the limit, says nothing about the target that it was waiting for:
    // else any caller could have targets put last for all the others.
    let gone = ending == v1::Ending::ClientDisconnected || (ending == v1::Ending::Timeout && hurried);
    for (index, (attempt, target)) in exchange.attempts.iter_mut().zip(&exchange.targets).enumerate() {
        if attempt.ended_ns == 0 {
            attempt.ended_ns = done_ns;
            let was_given_up = index == last && gone;
            if !was_given_up && !attempt.error.is_empty() {
                targets.health.failed(*target, done_ns);
            }
        }
    }
    if ending == v1::Ending::Completed
        && let (Some(attempt), Some(target)) = (exchange.attempts.last(), exchange.targets.last())
        && attempt.status == 200
    {
        let tokens = exchange.response.usage.as_ref().and_then(|usage| usage.output_tokens);
        let tokens = tokens.unwrap_or_else(|| exchange.response.chunks.into());
        let took_ns = attempt.ended_ns.saturating_sub(attempt.started_ns);
        if let Some(ns_per_token) = took_ns.checked_div(tokens) {
            targets.latency.record(*target, ns_per_token, done_ns);
        }
    }
}

/// An API as events name it.
pub fn api(api: Api) -> v1::Api {
    match api {
        Api::OpenAiChat => v1::Api::OpenaiChat,
        Api::OpenAiResponses => v1::Api::OpenaiResponses,
        Api::OpenAiCompletions => v1::Api::OpenaiCompletions,
        Api::OpenAiEmbeddings => v1::Api::OpenaiEmbeddings,
        Api::OpenAiImages => v1::Api::OpenaiImages,
        Api::OpenAiSpeech => v1::Api::OpenaiSpeech,
        Api::OpenAiModerations => v1::Api::OpenaiModerations,
        Api::OpenAiTranscription => v1::Api::OpenaiTranscription,
        Api::OpenAiTranslation => v1::Api::OpenaiTranslation,
        Api::OpenAiImageEdit => v1::Api::OpenaiImageEdit,
        Api::OpenAiImageVariation => v1::Api::OpenaiImageVariation,
        Api::AnthropicMessages => v1::Api::AnthropicMessages,
        Api::AnthropicCountTokens => v1::Api::AnthropicCountTokens,
        Api::GeminiGenerate => v1::Api::GeminiGenerate,
        Api::GeminiStream => v1::Api::GeminiStream,
        Api::GeminiEmbed => v1::Api::GeminiEmbed,
        Api::GeminiCountTokens => v1::Api::GeminiCountTokens,
        Api::CohereChat => v1::Api::CohereChat,
        Api::CohereRerank => v1::Api::CohereRerank,
        Api::Passthrough(_) => v1::Api::Passthrough,
    }
}
