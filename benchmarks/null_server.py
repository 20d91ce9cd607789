"""A server without a model: it answers every request at once with the same text, to measure the client alone.

python -m benchmarks.null_server PORT
"""

import asyncio
import json
import re
import sys

MODEL = "null"
ANSWER = "<begin_of_slow_thought>\n\n" + "word " * 200 + "\n\n<end_of_slow_thought>"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _response(body: object) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content


COMPLETION = {
    "id": "0",
    "object": "chat.completion",
    "created": 0,
    "model": MODEL,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 210, "total_tokens": 410},
}
RESPONSES = {
    b"/v1/models": _response({"data": [{"id": MODEL, "max_model_len": 4096}]}),
    b"/tokenize": _response({"tokens": [0] * 200}),
    b"/detokenize": _response({"prompt": "word"}),
    b"/v1/chat/completions": _response(COMPLETION),
}


class Connection(asyncio.Protocol):
    """A client's connection; answers each request by its path, once all of it has arrived."""

    transport: asyncio.Transport
    data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.data, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.data) < whole:
                return
            path = self.data.split(b" ", 2)[1]
            self.data = self.data[whole:]
            self.transport.write(RESPONSES[path])


async def serve(port: int) -> None:
    """Serves on a local port until the process ends."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
