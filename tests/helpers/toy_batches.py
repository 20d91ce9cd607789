"""The toy server with the batch endpoint of the OpenAI API: files, batches, and replies that come on demand."""

import json
import re

from toy_server import Handler, ToyServer


class BatchHandler(Handler):
    """Accepts files as multipart forms, creates and lists batches, returns contents."""

    def do_GET(self):
        toy, path = self.server.toy, self.path.split("?")[0].removeprefix("/v1/")
        if path == "batches" and not toy.has_batches:
            return self.reply(404, {"detail": "Not Found"})
        if path == "batches":
            page = {"object": "list", "data": list(toy.batches.values())[::-1], "has_more": False}
            return self.reply(200, page)
        if path.startswith("batches/"):
            toy.polls += 1
            return self.reply(*toy.look(path.split("/")[1]))
        if path.startswith("files/"):
            return self.reply_bytes(toy.files[path.split("/")[1]])
        return self.reply(200, toy.models_body())

    def do_POST(self):
        toy, path = self.server.toy, self.path.removeprefix("/v1/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "files" and not toy.has_batches:
            return self.reply(404, {"detail": "Not Found"})
        if path == "files":
            return self.reply(200, toy.take_file(body, self.headers["Content-Type"]))
        if path == "batches":
            status, batch = toy.make_batch(json.loads(body))
            if toy.deaf:  # the batch exists, but the client gets no reply
                return self.hang_up()
            return self.reply(status, batch)
        status, answer, *fault = toy.respond(self.path, json.loads(body))
        return self.reply(status, answer, *fault)

    def reply_bytes(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class BatchServer(ToyServer):
    """A toy server with batches.

    ready: whether batches end; ending: their final status; lost: whether the reply to a request's key is an error;
    deaf: whether a new batch gets no reply; has_batches: whether the server has the endpoint.
    """

    handler = BatchHandler

    def __init__(self):
        super().__init__(("reformatter",))
        self.files, self.batches, self.polls = {}, {}, 0
        self.ready, self.ending, self.deaf, self.has_batches = True, "completed", False, True
        self.lost = lambda key: False

    def take_file(self, body, content_type):
        boundary = re.search("boundary=([^;]+)", content_type)[1].strip('"').encode()
        parts = [part for part in body.split(b"--" + boundary) if b'name="file"' in part]
        content = parts[0].split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return {"id": name, "object": "file", "created_at": 0, "purpose": "batch", "status": "processed"}

    def make_batch(self, request):
        lines = self.files[request["input_file_id"]].splitlines()
        keys = [json.loads(line)["custom_id"] for line in lines]
        if len(set(keys)) != len(keys):
            return 400, {"error": {"message": "duplicate custom_id"}}
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {"id": name, "object": "batch", "status": "in_progress", "created_at": 0, **request}
        return 200, self.batches[name]

    def look(self, name):
        batch = self.batches[name]
        if self.ready and batch["status"] == "in_progress":
            batch["status"] = self.ending
            if self.ending in ("completed", "expired"):
                self.answer_all(batch)
        return 200, batch

    def answer_all(self, batch):
        replies, errors = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            request = json.loads(line)
            key = request["custom_id"]
            if self.lost(key):
                errors.append({"custom_id": key, "response": None, "error": {"message": "it is lost"}})
                continue
            self.requests.append(request["body"])
            body = self.body(request["url"], request["body"])
            replies.append({"custom_id": key, "response": {"status_code": 200, "body": body}, "error": None})
        if self.ending == "expired":
            replies = replies[: len(replies) // 2]
        for kind, lines in (("output_file_id", replies), ("error_file_id", errors)):
            if lines:
                batch[kind] = f"file-{len(self.files)}"
                self.files[batch[kind]] = "\n".join(map(json.dumps, lines)).encode()
