"""Calls the gateway with the official anthropic package, as an application would."""

import json

import anthropic
import view
from view import QUESTION, output, tool_call

MODEL = "claude-sonnet-4-5"
MESSAGES = [{"role": "user", "content": QUESTION}]

client = anthropic.Anthropic(
    base_url=view.URL, api_key=view.KEY, timeout=view.TIMEOUT_SECONDS, max_retries=0
)


def of_message(message, error_type=None):
    def joined(kind, field):
        return "".join(getattr(block, field) for block in message.content if block.type == kind)

    used = message.usage
    of_input = (used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens)
    of_output = used.output_tokens_details
    calls = [
        tool_call(block.id, block.name, json.dumps(block.input))
        for block in message.content
        if block.type == "tool_use"
    ]
    return view.view(
        message.id,
        message.model,
        [message.stop_reason] if message.stop_reason else [],
        view.usage(
            # "Total input tokens in a request is the summation of" these three, by the library's words.
            sum(part or 0 for part in of_input),
            used.output_tokens,
            used.cache_read_input_tokens,
            used.cache_creation_input_tokens,
            of_output.thinking_tokens if of_output else None,
        ),
        [output(joined("text", "text"), None, joined("thinking", "thinking"), calls)],
        error_type,
    )


def type_of(error):
    return error.body["error"]["type"]


def messages(headers):
    try:
        message = client.messages.create(
            model=MODEL, max_tokens=64, messages=MESSAGES, extra_headers=headers
        )
    except anthropic.APIStatusError as error:
        return view.view(error_type=type_of(error), status=error.status_code)
    return of_message(message)


def messages_stream(headers):
    """The library accumulates; an error in mid-stream leaves what came before."""
    message, error_type = None, None
    with client.messages.stream(
        model=MODEL, max_tokens=64, messages=MESSAGES, extra_headers=headers
    ) as stream:
        try:
            for _ in stream:
                message = stream.current_message_snapshot
        except anthropic.APIStatusError as error:
            error_type = type_of(error)
    return of_message(message, error_type)


def count_tokens(headers):
    answer = client.messages.count_tokens(model=MODEL, messages=MESSAGES, extra_headers=headers)
    return view.view(counted=answer.input_tokens)


if __name__ == "__main__":
    view.run((messages, messages_stream, count_tokens))
