"""The way to the Hub, against a small server that takes what the Hub's client sends."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from datasets import load_dataset
from scripts import run_script, write_converted

pytestmark = pytest.mark.slow  # together they take over ten seconds

PROBLEMS = [{"question": f"Problem {number}", "starter_code": ""} for number in range(8)]


class ToyHub(BaseHTTPRequestHandler):
    """Creates data sets and keeps the files of a commit; refuses every other token than `right`."""

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b"".join(self.chunks())
        self.server.asked.append(self.path)
        if self.headers.get("Authorization") != "Bearer right":
            self.reply({"error": "Invalid username or password."}, 401)
        elif self.path.endswith("/create"):
            self.reply({"url": f"{self.server.url}/datasets/me/toy", "name": "me/toy"})
        elif "/preupload/" in self.path:
            how = {"uploadMode": "regular", "shouldIgnore": False}
            self.reply({"files": [{"path": file["path"], **how} for file in json.loads(body)["files"]]})
        elif self.path.endswith("/validate-yaml"):
            self.reply({"errors": [], "warnings": []})
        else:
            lines = [json.loads(line) for line in body.splitlines()]
            for line in lines:
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.reply({"commitUrl": f"{self.server.url}/datasets/me/toy/commit/1", "commitOid": "1", "success": True})

    def do_GET(self):
        self.reply({"id": "me/toy", "sha": "0"})

    def chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()

    def reply(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), ToyHub)
    server.url, server.files, server.asked = f"http://127.0.0.1:{server.server_port}", {}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def push(hub, tmp_path):
    for number, problem in enumerate(PROBLEMS):
        write_converted(tmp_path / "run", number, 0, f"print({number}, {number * 7919})", problem, correctness=True)

    def run(*flags, token="right"):
        given = ("--input_dirs", tmp_path / "run", "--output_dir", tmp_path / "data", "--cutoff_len", 0,
                 "--near_duplicates", 0, "--push_to_hub", "me/toy")  # fmt: skip
        environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        return run_script("convert_to_data.py", *given, *flags, **environment)

    return run


@pytest.mark.parametrize("form", ["sharegpt", "jsonl", "parquet"])
def test_what_is_pushed_loads_as_a_data_set_with_its_splits(form, push, hub, tmp_path):
    result = push("--format", form, "--validation", 0.4)
    assert result.returncode == 0, result.stderr
    assert f"{hub.url}/datasets/me/toy/commit/1" in result.stdout
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for name, content in hub.files.items():
        (folder / name).write_bytes(content)
    assert {"README.md", "hindsight.sources.jsonl"} < set(hub.files)
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"} and sum(map(len, loaded.values())) == len(PROBLEMS)


def test_a_hub_that_refuses_ends_in_one_sentence_and_the_dataset_is_there(push, tmp_path):
    result = push(token="wrong")
    assert result.returncode == 2
    assert "the dataset is written, but the Hub did not accept me/toy" in result.stderr
    assert (tmp_path / "data" / "hindsight.json").exists()
