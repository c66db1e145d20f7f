"""What a library saw of an answer, as one line of JSON for each call.

A script names its calls; its arguments are `call=traceparent`. Address and key of the gateway come by
the environment. A call that fails is a line too, so that one failure does not hide the others.
"""

import json
import os
import sys

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
QUESTION = os.environ.get("QUESTION", "What is a weir?")
# Long enough for a busy machine, short enough to end before the test's own deadline.
TIMEOUT_SECONDS = 20


def usage(input=None, output=None, cache_read=None, cache_write=None, reasoning=None):
    """Tokens in totals, by the names of the event. What the library does not know is None."""
    return {
        "input_tokens": input,
        "output_tokens": output,
        "cache_read_tokens": cache_read,
        "cache_write_tokens": cache_write,
        "reasoning_tokens": reasoning,
    }


def output(text=None, refusal=None, reasoning=None, tool_calls=()):
    """One choice; an empty text is none."""
    return {
        "text": text or None,
        "refusal": refusal or None,
        "reasoning": reasoning or None,
        "tool_calls": list(tool_calls),
    }


def tool_call(id, name, arguments):
    return {"id": id, "name": name, "arguments": arguments}


def view(id=None, model=None, finish_reasons=(), usage=None, outputs=(), error_type=None, status=200, **more):
    return {
        "id": id,
        "model": model,
        "finish_reasons": list(finish_reasons),
        "usage": usage,
        "outputs": list(outputs),
        "error_type": error_type,
        "status": status,
        **more,
    }


def run(calls):
    """Makes the calls that the arguments name, each with its `traceparent` in the headers."""
    by_name = {call.__name__: call for call in calls}
    for argument in sys.argv[1:]:
        name, parent = argument.split("=", 1)
        try:
            line = by_name[name]({"traceparent": parent})
        except Exception as error:  # noqa: BLE001: whatever it is, the test shall show it
            line = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(line), flush=True)
