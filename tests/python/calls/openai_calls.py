"""Calls the gateway with the official openai package, as an application would."""

import openai
import view
from view import QUESTION, output, tool_call

MODEL = "gpt-4o"
MESSAGES = [{"role": "user", "content": QUESTION}]
AUDIO = ("weir.mp3", b"ID3\x04not really audio", "audio/mpeg")

client = openai.OpenAI(
    base_url=f"{view.URL}/v1", api_key=view.KEY, timeout=view.TIMEOUT_SECONDS, max_retries=0
)


def tokens(used):
    """The usage of any of the APIs: some say prompt and completion, some input and output."""
    if used is None or getattr(used, "type", "tokens") != "tokens":
        return None
    new = hasattr(used, "input_tokens")
    read = used.input_tokens if new else used.prompt_tokens
    written = getattr(used, "output_tokens" if new else "completion_tokens", None)
    of_input = getattr(used, "input_tokens_details" if new else "prompt_tokens_details", None)
    of_output = getattr(used, "output_tokens_details" if new else "completion_tokens_details", None)
    return view.usage(
        read,
        written,
        getattr(of_input, "cached_tokens", None),
        getattr(of_input, "cache_write_tokens", None),
        getattr(of_output, "reasoning_tokens", None),
    )


def reasoning(message):
    """Not OpenAI's own: by which name depends on the server."""
    return getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)


def refused(error):
    return view.view(error_type=error.code or error.type, status=getattr(error, "status_code", 200))


def chat(headers):
    try:
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=headers)
    except openai.APIError as error:
        return refused(error)
    outputs = []
    for choice in answer.choices:
        message = choice.message
        calls = [tool_call(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()]
        outputs.append(output(message.content, message.refusal, reasoning(message), calls))
    reasons = [choice.finish_reason for choice in answer.choices]
    return view.view(answer.id, answer.model, reasons, tokens(answer.usage), outputs)


def chat_stream(headers):
    """As the library's users do it: pieces are put together by the index of choice and tool call."""
    outputs, reasons, seen, error_type = {}, {}, {}, None
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=headers,
    )
    try:
        for chunk in stream:
            seen.update(id=chunk.id, model=chunk.model)
            if chunk.usage:
                seen["usage"] = tokens(chunk.usage)
            for choice in chunk.choices:
                empty = {"text": "", "refusal": "", "reasoning": "", "calls": {}}
                made = outputs.setdefault(choice.index, empty)
                made["text"] += choice.delta.content or ""
                made["refusal"] += choice.delta.refusal or ""
                made["reasoning"] += reasoning(choice.delta) or ""
                for piece in choice.delta.tool_calls or ():
                    call = made["calls"].setdefault(piece.index, tool_call(piece.id, piece.function.name, ""))
                    call["arguments"] += piece.function.arguments or ""
                if choice.finish_reason:
                    reasons[choice.index] = choice.finish_reason
    except openai.APIError as error:
        error_type = error.code or error.type
    made = [
        output(made["text"], made["refusal"], made["reasoning"], made["calls"].values())
        for _, made in sorted(outputs.items())
    ]
    return view.view(
        finish_reasons=[reason for _, reason in sorted(reasons.items())],
        outputs=made,
        error_type=error_type,
        **seen,
    )


def of_response(answer):
    text, refusal, thought, calls = "", "", "", []
    for item in answer.output:
        if item.type == "message":
            text += "".join(part.text for part in item.content if part.type == "output_text")
            refusal += "".join(part.refusal for part in item.content if part.type == "refusal")
        elif item.type == "reasoning":
            thought += "".join(part.text for part in item.summary)
        elif item.type == "function_call":
            calls.append(tool_call(item.call_id, item.name, item.arguments))
    reason = answer.incomplete_details.reason if answer.incomplete_details else answer.status
    outputs = [output(text, refusal, thought, calls)] if answer.output else []
    error_type = answer.error.code if answer.error else None
    return view.view(answer.id, answer.model, [reason], tokens(answer.usage), outputs, error_type)


def responses(headers):
    return of_response(client.responses.create(model=MODEL, input=QUESTION, extra_headers=headers))


def responses_stream(headers):
    """The last event holds the whole response; the pieces before must add up to its text."""
    answer, pieces = None, ""
    stream = client.responses.create(model=MODEL, input=QUESTION, stream=True, extra_headers=headers)
    for event in stream:
        if event.type in ("response.output_text.delta", "response.refusal.delta"):
            pieces += event.delta
        answer = getattr(event, "response", answer)
    line = of_response(answer)
    said = "".join((made["text"] or "") + (made["refusal"] or "") for made in line["outputs"])
    assert pieces == said, (pieces, said)
    return line


def completions(headers):
    answer = client.completions.create(model=MODEL, prompt=QUESTION, extra_headers=headers)
    reasons = [choice.finish_reason for choice in answer.choices]
    outputs = [output(choice.text) for choice in answer.choices]
    return view.view(answer.id, answer.model, reasons, tokens(answer.usage), outputs)


def embeddings(headers):
    """The library asks for base64 unless it is told otherwise, and decodes it."""
    answer = client.embeddings.create(model=MODEL, input=QUESTION, extra_headers=headers)
    return view.view(
        model=answer.model, usage=tokens(answer.usage), dimensions=len(answer.data[0].embedding)
    )


def images(headers):
    answer = client.images.generate(model=MODEL, prompt=QUESTION, extra_headers=headers)
    assert answer.data[0].b64_json, answer
    return view.view(usage=tokens(answer.usage))


def images_stream(headers):
    stream = client.images.generate(
        model=MODEL, prompt=QUESTION, stream=True, partial_images=1, extra_headers=headers
    )
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    return view.view(usage=tokens(events[-1].usage))


def speech(headers):
    answer = client.audio.speech.create(model=MODEL, voice="alloy", input=QUESTION, extra_headers=headers)
    return view.view(hex=answer.content.hex())


def transcription(headers):
    answer = client.audio.transcriptions.create(model=MODEL, file=AUDIO, extra_headers=headers)
    return view.view(usage=tokens(answer.usage), outputs=[output(answer.text)])


def transcription_stream(headers):
    pieces = ""
    stream = client.audio.transcriptions.create(model=MODEL, file=AUDIO, stream=True, extra_headers=headers)
    for event in stream:
        if event.type == "transcript.text.delta":
            pieces += event.delta
    assert pieces == event.text, (pieces, event)
    return view.view(usage=tokens(event.usage), outputs=[output(pieces)])


def moderations(headers):
    answer = client.moderations.create(model=MODEL, input=QUESTION, extra_headers=headers)
    assert answer.results[0].flagged, answer
    return view.view(answer.id, answer.model)


if __name__ == "__main__":
    view.run(
        (
            chat,
            chat_stream,
            responses,
            responses_stream,
            completions,
            embeddings,
            images,
            images_stream,
            speech,
            transcription,
            transcription_stream,
            moderations,
        )
    )
