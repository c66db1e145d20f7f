"""Calls the gateway with the official google-genai package, as an application would."""

import json

import view
from google import genai
from google.genai import errors, types
from view import QUESTION, output, tool_call

MODEL = "gemini-2.5-flash"

client = genai.Client(
    api_key=view.KEY,
    http_options=types.HttpOptions(base_url=view.URL, timeout=view.TIMEOUT_SECONDS * 1000),
)


def config(headers, of=types.GenerateContentConfig):
    return of(http_options=types.HttpOptions(headers=headers))


def of_responses(responses, error_type=None):
    """A whole answer, or the pieces of one: the last usage is the sum of all."""
    candidates = [candidate for response in responses for candidate in response.candidates or ()]
    parts = [part for candidate in candidates if candidate.content for part in candidate.content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    last = responses[-1]
    used = last.usage_metadata
    written = [n for n in (used.candidates_token_count, used.thoughts_token_count) if n is not None]
    made = output(
        "".join(part.text for part in parts if part.text and not part.thought),
        None,
        "".join(part.text for part in parts if part.text and part.thought),
        [tool_call(call.id, call.name, json.dumps(call.args)) for call in calls],
    )
    return view.view(
        last.response_id,
        last.model_version,
        [candidate.finish_reason.value for candidate in candidates if candidate.finish_reason],
        view.usage(
            used.prompt_token_count,
            sum(written) if written else None,
            used.cached_content_token_count,
            None,
            used.thoughts_token_count,
        ),
        [made] if candidates else [],
        error_type,
    )


def generate_content(headers):
    try:
        answer = client.models.generate_content(model=MODEL, contents=QUESTION, config=config(headers))
    except errors.APIError as error:
        return view.view(error_type=error.status, status=error.code)
    return of_responses([answer])


def generate_content_stream(headers):
    responses, error_type = [], None
    stream = client.models.generate_content_stream(model=MODEL, contents=QUESTION, config=config(headers))
    try:
        for response in stream:
            responses.append(response)
    except errors.APIError as error:
        error_type = error.status
    return of_responses(responses, error_type)


def count_tokens(headers):
    answer = client.models.count_tokens(
        model=MODEL, contents=QUESTION, config=config(headers, types.CountTokensConfig)
    )
    return view.view(counted=answer.total_tokens)


def embed_content(headers):
    """The library asks for a batch, also where it is given one text only."""
    answer = client.models.embed_content(
        model=MODEL, contents=QUESTION, config=config(headers, types.EmbedContentConfig)
    )
    return view.view(dimensions=len(answer.embeddings[0].values))


if __name__ == "__main__":
    view.run((generate_content, generate_content_stream, count_tokens, embed_content))
