"""A small HTTP server of embeddings, and answers to embed, for test_embed.py and embeddings/test_models.py."""

import hashlib
import json
import time

import numpy as np
import quick_scripts
from toy_server import ToyServer

from hindsight.files.answer_files import converted_path, embedded_path
from hindsight.files.records import write_json
from hindsight.text.uniform_format import render

SCRIPT = "analysis/embed.py"
API_MODEL = "text-embedding-3-small"
OFFLINE = {"HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}


def write_answer(folder, question_id, sample_index, text, converted=None):
    folder.mkdir(exist_ok=True)
    record = {"generated_text": text, "converted_text": converted or text, "metadata": {"question": "?"}}
    write_json(converted_path(folder, question_id, sample_index), record)


def vector(folder, question_id, sample_index, kind="converted_embedding"):
    return np.array(json.loads(embedded_path(folder, question_id, sample_index).read_text())[kind])


class EmbeddingServer(ToyServer):
    """Embeds a text or token ids as four numbers from their digest; a text's tokens are its characters.

    It refuses texts of more than `longest` characters. With `vllm`, it cuts them to that length on request, and it has
    /tokenize, which adds two tokens.
    """

    longest, vllm = 100, False

    def respond(self, path, request):
        if path == "/tokenize" and self.vllm:
            return 200, {"count": len(request["prompt"]) + 2, "max_model_len": self.longest, "tokens": []}
        if path != "/v1/embeddings":
            return 404, {"detail": "Not Found"}
        self.requests.append(request)
        time.sleep(self.delay)
        fault = self.fault(request)
        if isinstance(fault, int):
            return fault, {"error": {"message": f"told to fail with {fault}"}}
        inputs = request["input"]
        if self.vllm and request.get("truncate_prompt_tokens") == -1:
            inputs = [text[: self.longest - 2] for text in inputs]
        if any(len(each) > self.longest for each in inputs):
            return 400, {"error": {"message": f"maximum context length is {self.longest} tokens"}}
        data = [{"object": "embedding", "index": i, "embedding": numbers(each)} for i, each in enumerate(inputs)]
        usage = {"prompt_tokens": sum(map(len, inputs)), "total_tokens": sum(map(len, inputs))}
        return 200, {"object": "list", "model": request["model"], "data": data[::-1], "usage": usage}, fault

    @property
    def sent(self):
        """Every text that it was asked to embed."""
        return [text for request in self.requests for text in request["input"]]


def numbers(content):
    return [byte / 256 for byte in hashlib.sha256(json.dumps(content).encode()).digest()[:4]]


def step_of(folder):
    return json.loads((folder / "run.json").read_text())["steps"]["embed.py"]


def solution(program):
    """A converted text with this program."""
    return render("hm", f"```python\n{program}\n```")


def start_by_api(folder, server, *flags):
    given = ("--input_dirs", folder, "--embedding_model", API_MODEL, "--embedding_url", server.url)
    return quick_scripts.start(folder.with_name(f"{folder.name} said"), SCRIPT, *given, *flags)


def embed_by_api(folder, server, *flags):
    return start_by_api(folder, server, *flags).wait()
