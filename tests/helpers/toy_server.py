"""A small real HTTP server without a model that speaks the OpenAI protocol and vLLM's, for tests of scripts.

Its tokens are bytes, and its answers are a function of the request (`answer`). It records every request. `fault`, a
function of the request, makes it fail: it returns None or one of

    429, (429, {"Retry-After": "1"})    this status, with these headers
    "dropped", "half headers", "cut"    the connection ends before the answer, in its headers or in its body
    "not json", "html", "list"          status 200 with a body that is not an answer
    "empty", "unfinished", "abort"      an answer without choices, with finish reason null or "abort"
    "hang"                              no answer, until the server ends
"""

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hindsight.servers.checks import SEED_TOKENS

MOST_STOP_WORDS = 4  # of vLLM 0.32 and the OpenAI API
JSON, HTML = "application/json", "text/html"


def plain_answer(request: dict[str, Any]) -> str:
    """An answer in the uniform format that contains its seed."""
    return (
        f"<begin_of_slow_thought>\n\nseed {request['seed']}\n\n<end_of_slow_thought>\n\n"
        f"<begin_of_solution>\n\n```python\nprint({request['seed']})\n```\n\n<end_of_solution>"
    )


class Listener(ThreadingHTTPServer):
    """Accepts many connections at once, and does not report those that end too early."""

    daemon_threads, block_on_close, request_queue_size = True, False, 512

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    """Reads requests and writes the toy's answers."""

    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1

    def setup(self):
        super().setup()
        self.server.toy.connections.add(self.connection)

    def finish(self):
        self.server.toy.connections.discard(self.connection)
        super().finish()

    def do_GET(self):
        self.reply(200, self.server.toy.rewrite("/models", self.server.toy.models_body()))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        toy = self.server.toy
        status, answer, *fault = toy.respond(self.path, body)
        self.reply(status, toy.rewrite(self.path.removeprefix("/v1"), answer) if status == 200 else answer, *fault)

    def reply(self, status, body, fault=None):
        if isinstance(body, bytes):  # no JSON
            body, fault = "", fault or body
        content, kind, headers = json.dumps(body).encode(), JSON, fault if isinstance(fault, dict) else {}
        if fault == "hang":
            self.server.toy.ended.wait()
        if fault in ("dropped", "hang") or self.server.toy.ended.is_set():
            return self.hang_up()
        if fault == "not json":
            content = content[: len(content) // 2]
        if isinstance(fault, bytes):
            content = fault
        if fault == "html":
            content, kind = b"<html><body>Welcome to nginx!</body></html>", HTML
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        if fault == "half headers":
            self._headers_buffer = [b"".join(self._headers_buffer)[:40]]
            self.flush_headers()
            return self.hang_up()
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        return self.hang_up() if fault == "cut" else None

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments):
        pass


class ToyServer:
    """Serves the models in `models` within a `with` block; `url` is the OpenAI address.

    requests, times: of answers; probes: the requests by which a script tries seeds at its start, which get no faults;
    tokenizer_fault: `fault` for /tokenize; shift: added to a model's token ids, which makes another tokenizer; special:
    a model's tokens that are not bytes, with their texts; refusal: the message of a fault; context: the longest prompt
    and answer together, in tokens; template: the end of a rendered chat; refuses: a sentence about why it takes no such
    request, probes too; rewrite: changes a reply by its path.
    """

    handler = Handler

    def __init__(self, models: tuple[str, ...] = ("lab-base", "lab-instruct", "reformatter")):
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.probes: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], str | bytes] = plain_answer
        self.fault: Callable[[dict[str, Any]], Any] = lambda request: None
        self.tokenizer_fault: Callable[[dict[str, Any]], Any] = lambda request: None
        self.finish = "stop"
        self.refusal = ""
        self.delay = 0.0
        self.shift: dict[str, int] = {}
        self.special: dict[str, dict[int, str]] = {}
        self.context: int | None = None
        self.template = ""
        self.refuses: Callable[[dict[str, Any]], str | None] = lambda request: None
        self.rewrite: Callable[[str, Any], Any] = lambda path, body: body
        self.connections: set[socket.socket] = set()
        self.port = 0

    def __enter__(self) -> "ToyServer":
        self.start()
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def start(self) -> None:
        """Listens at a free port, and after a restart at the same one."""
        self.ended = threading.Event()
        self.listener = Listener(("127.0.0.1", self.port), self.handler)
        self.listener.toy, self.port = self, self.listener.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Closes the port and every connection, as if the server were killed."""
        if self.ended.is_set():
            return
        self.ended.set()
        self.listener.shutdown()
        self.listener.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended by itself
                continue

    def models_body(self) -> dict[str, Any]:
        """The server's list of models."""
        context = {} if self.context is None else {"max_model_len": self.context}
        return {"object": "list", "data": [{"id": name, "object": "model", **context} for name in self.models]}

    def respond(self, path: str, request: dict[str, Any]) -> tuple:
        """The status and body of an answer, and its fault, if any."""
        model = request.get("model")
        if model not in self.models:
            return 404, {"error": {"message": f"The model `{model}` does not exist."}}
        if refusal := self.refuses(request):
            return 400, {"error": {"message": refusal}}
        if len(request.get("stop") or ()) > MOST_STOP_WORDS:
            return 400, {"error": {"message": "List should have at most 4 items", "param": "stop"}}
        if path == "/tokenize":
            return 200, self.tokens(request), self.tokenizer_fault(request)
        if path == "/detokenize":
            return 200, {"prompt": self.decode(model, request["tokens"]).decode(errors="replace")}
        if limit_of(request) == SEED_TOKENS:
            self.probes.append(request)
            return 200, self.body(path, request)
        self.times.append(time.monotonic())
        self.requests.append(request)
        time.sleep(self.delay)
        fault = self.fault(request)
        status, more = fault if isinstance(fault, tuple) else (fault, None)
        if isinstance(status, int):
            return status, {"error": {"message": self.refusal or f"told to fail with {status}"}}, more
        return self.too_long(request) or (200, self.body(path, request, fault), fault)

    def too_long(self, request: dict[str, Any]) -> tuple | None:
        """vLLM's refusal of a request that does not fit in the context, else None."""
        prompt, limit = prompt_of(request), limit_of(request)
        size = len(prompt) if isinstance(prompt, list) else len(self.encode(request["model"], prompt))
        if self.context is None or size + limit <= self.context:
            return None
        message = (
            f"This model's maximum context length is {self.context} tokens. However, you requested {limit} output "
            f"tokens and your prompt contains {size} input tokens. Please reduce the length of the input prompt."
        )
        return 400, {"error": {"message": message, "type": "BadRequestError", "code": 400}}

    def body(self, path: str, request: dict[str, Any], fault: Any = None) -> Any:
        """The body of the answer to a request."""
        model, answer = request["model"], self.answer(request)
        content = self.encode(model, answer)
        limit = limit_of(request)
        finish = self.finish if len(content) <= limit else "length"
        content = content[:limit]
        text = self.decode(model, content).decode(errors="replace")
        choice = {"index": 0, "finish_reason": {"unfinished": None, "abort": "abort"}.get(fault, finish)}
        if path.endswith("/chat/completions"):
            choice["message"] = {"role": "assistant", "content": text}
            logprobs = {"content": [{"token": "x", "logprob": -0.5} for _ in content]}
        else:
            choice |= {"text": text, "token_ids": content}
            logprobs = {"token_logprobs": [-0.5 for _ in content]}
        choice |= {"logprobs": logprobs} if "logprobs" in request else {}
        usage = {"prompt_tokens": 7, "completion_tokens": len(content), "total_tokens": 7 + len(content)}
        head = {"id": "x", "object": "x", "created": 0, "model": model}
        whole = {**head, "choices": [] if fault == "empty" else [choice], "usage": usage}
        return [whole] if fault == "list" else whole

    def tokens(self, request: dict[str, Any]) -> dict[str, Any]:
        """vLLM's reply to /tokenize."""
        text = prompt_of(request) + (self.template if "messages" in request else "")
        ids = self.encode(request["model"], text)
        return {"count": len(ids), "max_model_len": self.context or 4096, "tokens": ids, "token_strs": None}

    def encode(self, model: str, text: str | bytes) -> list[int]:
        """The token ids of a text: its bytes, with the model's special tokens in place of their texts."""
        content = text if isinstance(text, bytes) else text.encode()
        special = {text.encode(): number for number, text in self.special.get(model, {}).items()}
        pieces = re.split(b"(" + b"|".join(map(re.escape, special)) + b")", content) if special else [content]
        ids = [each for piece in pieces for each in ([special[piece]] if piece in special else piece)]
        return [each + self.shift.get(model, 0) for each in ids]

    def decode(self, model: str, ids: list[int]) -> bytes:
        """The bytes of token ids; ids outside the vocabulary have none."""
        special, shift = self.special.get(model, {}), self.shift.get(model, 0)
        pieces = [
            bytes([each]) if 0 <= each < 256 else special.get(each, "").encode()
            for each in (token - shift for token in ids)
        ]
        return b"".join(pieces)


def prompt_of(request: dict[str, Any]) -> Any:
    """A request's prompt: a text, token ids, or the concatenated texts of its messages."""
    return request.get("prompt") or "".join(message["content"] for message in request.get("messages", []))


def limit_of(request: dict[str, Any]) -> int:
    """The most tokens that an answer may have."""
    return request.get("max_tokens") or request.get("max_completion_tokens")
