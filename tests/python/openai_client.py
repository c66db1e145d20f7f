"""Calls the gateway with the official openai package, as an application would.

The part to run is the argument. Exits with 0 when everything was as an application expects it;
assertions say what was not. Address, key and trace context come by the environment.
"""

import os
import sys

import openai

MESSAGES = [{"role": "user", "content": "What is a weir?"}]
HEADERS = {"traceparent": os.environ["TRACEPARENT"]}


def call(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers=HEADERS)
    assert answer.id.startswith("chatcmpl-"), answer
    assert answer.model == "gpt-4o-2024-11-20", answer
    assert answer.choices[0].message.content.endswith("🌊"), answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.total_tokens == 33, answer


def stream(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=HEADERS,
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "A weir is a low dam — très simple 🌊.", text
    assert chunks[-1].usage.completion_tokens == 11, chunks[-1]


def unknown_model(client: openai.OpenAI) -> None:
    try:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES, extra_headers=HEADERS)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error
        assert "no-such-model" in error.message, error
    else:
        raise AssertionError("an unknown model was answered")


def models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["gpt-4o"]


def forms(client: openai.OpenAI) -> None:
    sound = ("très simple.wav", b"RIFF\r\n\r\n--\x00", "audio/wav")
    for call in (client.audio.transcriptions, client.audio.translations):
        assert call.create(model="gpt-4o", file=sound, extra_headers=HEADERS).text == "A weir."
    image = ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")
    client.images.edit(model="gpt-4o", image=[image, image], prompt="A weir", n=2, extra_headers=HEADERS)
    client.images.create_variation(model="gpt-4o", image=image, extra_headers=HEADERS)


def granted(client: openai.OpenAI) -> None:
    client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch", extra_headers=HEADERS)
    client.files.delete("file-1", extra_headers=HEADERS)
    client.responses.retrieve("resp_1", extra_headers=HEADERS)
    client.responses.create(model="gpt-4o", input="And then?", previous_response_id="resp_1", extra_headers=HEADERS)


PARTS = {part.__name__: part for part in (call, stream, unknown_model, models, forms, granted)}

if __name__ == "__main__":
    PARTS[sys.argv[1]](openai.OpenAI(timeout=20, max_retries=0))
