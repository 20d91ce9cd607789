"""A small real HTTP server that speaks the OpenAI protocol and vLLM's, for tests of scripts: no model behind it.

Its tokens are bytes, its answers follow from the request (`answer`), it remembers every request, and it fails as
it is told to by `fault`, a function of the request that returns a status code, or "empty" for an empty list of choices.
"""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def plain_answer(request: dict[str, Any]) -> str:
    """A whole answer in the uniform format that tells its seed."""
    return (
        f"<begin_of_slow_thought>\n\nseed {request['seed']}\n\n<end_of_slow_thought>\n\n"
        f"<begin_of_solution>\n\n```python\nprint({request['seed']})\n```\n\n<end_of_solution>"
    )


class ToyServer:
    """Serves the models in `models` for the body of a `with`; `url` is the OpenAI address."""

    def __init__(self, models: tuple[str, ...] = ("lab-base", "lab-instruct", "reformatter")):
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], str | bytes] = plain_answer
        self.fault: Callable[[dict[str, Any]], int | str | None] = lambda request: None
        self.finish = "stop"
        self.delay = 0.0
        self.shift = {}  # added to the token ids of a model, so that its tokenizer is another one

    def __enter__(self) -> "ToyServer":
        toy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in toy.models]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(*toy.respond(self.path, body))

            def reply(self, status, body):
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.server.shutdown()
        self.server.server_close()

    def respond(self, path: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/tokenize":
            text = request.get("prompt") or "".join(m["content"] for m in request.get("messages", []))
            return 200, {"tokens": [byte + self.shift.get(request["model"], 0) for byte in text.encode()]}
        if path == "/detokenize":
            ids = [token - self.shift.get(request["model"], 0) for token in request["tokens"]]
            return 200, {"prompt": bytes(ids).decode(errors="replace")}
        self.requests.append(request)
        time.sleep(self.delay)
        fault = self.fault(request)
        if isinstance(fault, int):
            return fault, {"error": {"message": f"told to fail with {fault}"}}
        answer = self.answer(request)
        content = answer if isinstance(answer, bytes) else answer.encode()
        limit = request.get("max_tokens") or request.get("max_completion_tokens")
        finish = self.finish if len(content) <= limit else "length"
        content = content[:limit]
        text = content.decode(errors="replace")
        choice = {"index": 0, "finish_reason": finish}
        if path.endswith("/chat/completions"):
            choice["message"] = {"role": "assistant", "content": text}
        else:
            ids = [byte + self.shift.get(request["model"], 0) for byte in content]
            choice |= {"text": text, "token_ids": ids}
        usage = {"prompt_tokens": 7, "completion_tokens": len(content), "total_tokens": 7 + len(content)}
        choices = [] if fault == "empty" else [choice]
        head = {"id": "x", "object": "x", "created": 0, "model": request["model"]}
        return 200, {**head, "choices": choices, "usage": usage}
