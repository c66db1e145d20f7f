"""Takes a picture of a page once it shows what it should, with Chromium over its DevTools protocol.

Usage: screenshot.py URL FILE TEXT…: waits until the page says every one of the texts, and fails when it
does not. Chromium keeps to itself: no profile, no updates, no other host than the page's.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

from websockets.sync.client import connect

SIZE = (1280, 1000)
DEADLINE_SECONDS = 60
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    f"--window-size={SIZE[0]},{SIZE[1]}",
]


def until(look, what):
    """Looks until there is something, and returns it."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"screenshot: {what()}")


def tab_of(port):
    """Where the browser's only tab is spoken to."""
    tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
    return next(tab for tab in tabs if tab["type"] == "page")["webSocketDebuggerUrl"]


class Page:
    def __init__(self, socket):
        self.socket = socket
        self.calls = 0

    def call(self, method, **parameters):
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=DEADLINE_SECONDS))
            if answer.get("id") == self.calls:
                return answer.get("result", {})

    def text(self):
        said = self.call("Runtime.evaluate", expression="document.body.innerText", returnByValue=True)
        return said.get("result", {}).get("value") or ""


def take(page, url, texts):
    page.call("Page.navigate", url=url)

    def missing():
        shown = page.text()
        return [text for text in texts if text not in shown]

    until(lambda: not missing(), lambda: f"{url} does not show {missing()}; it shows:\n{page.text()}")
    return base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])


def main(url, file, texts):
    with tempfile.TemporaryDirectory(prefix="weir-chromium-", ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [os.environ["CHROMIUM"], *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            told = pathlib.Path(profile, "DevToolsActivePort")
            port = until(
                lambda: told.exists() and told.read_text().split("\n")[0],
                lambda: "Chromium does not start",
            )
            with connect(tab_of(port), max_size=None, proxy=None) as socket:
                pathlib.Path(file).write_bytes(take(Page(socket), url, texts))
        finally:
            browser.terminate()
            browser.wait(timeout=DEADLINE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
