"""Headless Chromium, driven over a websocket with its DevTools protocol."""

import base64
import itertools
import json
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)
DEADLINE = 60.0


class Browser:
    """One tab. `requests` are the addresses that pages requested, `errors` the errors they raised or logged."""

    def __init__(self, folder: Path):
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._numbers, self._stack = itertools.count(1), ExitStack()
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port, path = wait_for(lambda: port_file(folder / "DevToolsActivePort"))
            self._socket = self._stack.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None))
            self._session = None
            tab = next(t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page")
            attached = self.send("Target.attachToTarget", targetId=tab["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.send(f"{domain}.enable")
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._process.terminate()
        self._process.wait(DEADLINE)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result; notes the events that arrive meanwhile."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps({**message, **({"sessionId": self._session} if self._session else {})}))
        while True:
            reply = json.loads(self._socket.recv(timeout=DEADLINE))
            if reply.get("id") == number:
                assert "error" not in reply, reply
                return reply["result"]
            self._note(reply)

    def _note(self, event: dict[str, Any]) -> None:
        method, details = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(details["exceptionDetails"]))
        elif method == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.errors.append(details["entry"]["text"])

    def open(self, page: Path, address: str = "") -> None:
        """Opens a file in a fresh page and waits until the list and an answer are drawn."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=f"{page.as_uri()}{address}")
        self.until("document.documentElement?.dataset.shown !== undefined")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; waits for a promise."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression is true."""
        wait_for(lambda: self.evaluate(expression))

    def text(self, selector: str) -> str:
        """The text of an element, including folded sections."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def screenshot(self, path: Path, width: int = 1280, height: int = 860, dark: bool = False) -> None:
        """Writes a picture of the window at that size, in light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        time.sleep(0.2)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


def port_file(path: Path) -> list[str] | None:
    """The port and the path of the websocket once the browser has written them, else None."""
    lines = path.read_text().split() if path.exists() else []
    return lines if len(lines) == 2 else None


def wait_for(condition: Any, seconds: float = DEADLINE) -> Any:
    """Calls `condition` until its result is truthy, and returns that result."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not true within {seconds} s")
