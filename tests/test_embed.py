"""analysis/embed.py as a user runs it: the real all-MiniLM-L6-v2, and a small HTTP server that speaks the API."""

import hashlib
import json

import numpy as np
import pytest
from scripts import run_script
from toy_server import ToyServer

from analysis.diversity import pairwise_similarities
from hindsight.records import converted_path, embedded_path, list_files, write_json

SCRIPT = "analysis/embed.py"
API_MODEL = "text-embedding-3-small"
OFFLINE = {"HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
TEXTS = (
    "The sum of two numbers: a, b = map(int, input().split()); print(a + b)",
    "The sum of two integers: a, b = map(int, input().split()); print(a + b)",
    "Queen Victoria bought seven umbrellas in a rainy town by the sea.",
)


def write_answer(folder, question_id, sample_index, text, converted=None):
    folder.mkdir(exist_ok=True)
    record = {"generated_text": text, "converted_text": converted or text, "metadata": {"question": "?"}}
    write_json(converted_path(folder, question_id, sample_index), record)


def vector(folder, question_id, sample_index, kind="converted_embedding"):
    return np.array(json.loads(embedded_path(folder, question_id, sample_index).read_text())[kind])


class EmbeddingServer(ToyServer):
    """Embeds a text as four numbers from its digest, refuses texts longer than 100 characters."""

    def respond(self, path, request):
        assert path == "/v1/embeddings"
        self.requests.append(request)
        fault = self.fault(request)
        if fault:
            return fault, {"error": {"message": f"told to fail with {fault}"}}
        texts = request["input"]
        if any(len(text) > 100 for text in texts):
            return 400, {"error": {"message": "maximum context length is 100 characters"}}
        data = [{"object": "embedding", "index": i, "embedding": numbers(text)} for i, text in enumerate(texts)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return 200, {"object": "list", "model": request["model"], "data": data[::-1], "usage": usage}


def numbers(text):
    return [byte / 256 for byte in hashlib.sha256(text.encode()).digest()[:4]]


@pytest.fixture
def server():
    with EmbeddingServer(models=(API_MODEL,)) as running:
        yield running


def embed_by_api(folder, server, *flags):
    environment = {**OFFLINE, "OPENAI_BASE_URL": server.url}
    return run_script(SCRIPT, "--input_dir", folder, "--embedding_model", API_MODEL, *flags, **environment)


def test_minilm_puts_alike_texts_near_and_a_second_run_embeds_nothing(tmp_path):
    for index, text in enumerate(TEXTS):
        write_answer(tmp_path, 1, index, text)
    result = run_script(SCRIPT, "--input_dir", tmp_path, **OFFLINE)
    assert (result.returncode, "3 embedded" in result.stdout) == (0, True), result.stdout + result.stderr
    alike, *unlike = pairwise_similarities(np.stack([vector(tmp_path, 1, index) for index in range(3)]))
    assert alike > 0.9 > 0.4 > max(unlike)
    assert len(vector(tmp_path, 1, 0)) == 384
    record = json.loads(embedded_path(tmp_path, 1, 0).read_text())
    assert record["metadata"] == {"question": "?"}
    assert record["embedding_model"] == "all-MiniLM-L6-v2"
    step = json.loads((tmp_path / "run.json").read_text())["steps"]["embed.py"]
    assert (step["missing"], step["cut"]) == (0, 0)

    before = {path: path.stat().st_mtime_ns for path in list_files(tmp_path, "embedded").values()}
    again = run_script(SCRIPT, "--input_dir", tmp_path, **OFFLINE)
    assert (again.returncode, "3 embedded before" in again.stdout) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_broken_file_is_named_and_the_others_are_embedded_and_cut_texts_counted(tmp_path):
    write_answer(tmp_path, 1, 0, TEXTS[0])
    write_answer(tmp_path, 1, 1, "word " * 400, converted=TEXTS[1])
    write_answer(tmp_path, 1, 2, "word " * 400)  # the same text, so embedded and counted once
    converted_path(tmp_path, 2, 0).write_text('{"generated_text": "cut of')
    write_json(converted_path(tmp_path, 3, 0), {"generated_text": None, "converted_text": "x"})
    result = run_script(SCRIPT, "--input_dir", tmp_path, **OFFLINE)
    assert result.returncode == 1
    assert "3 embedded by all-MiniLM-L6-v2, 2 not" in result.stdout
    assert "1 texts were longer than the model's 256 tokens" in result.stdout
    assert "converted_question_2_sample_0.json is not whole JSON" in result.stdout
    assert "converted_question_3_sample_0.json" in result.stdout
    assert list(list_files(tmp_path, "embedded")) == [(1, 0), (1, 1), (1, 2)]
    long = [vector(tmp_path, 1, index, "generated_embedding") for index in (1, 2)]
    assert (long[0] == long[1]).all()


def test_the_api_embeds_each_text_once_and_in_its_place(server, tmp_path):
    for index in range(5):
        write_answer(tmp_path, 7, index, f"raw {index % 2}", f"converted {index}")
    result = embed_by_api(tmp_path, server, "--batch_size", 3)
    assert result.returncode == 0, result.stdout + result.stderr
    sent = [text for request in server.requests for text in request["input"]]
    assert sorted(sent) == ["converted 0", "converted 1", "converted 2", "converted 3", "converted 4", "raw 0", "raw 1"]
    assert max(len(request["input"]) for request in server.requests) == 3
    for index in range(5):
        assert vector(tmp_path, 7, index) == pytest.approx(numbers(f"converted {index}"))
        assert vector(tmp_path, 7, index, "generated_embedding") == pytest.approx(numbers(f"raw {index % 2}"))


def test_a_text_that_the_server_refuses_fails_alone(server, tmp_path):
    for index in range(6):
        write_answer(tmp_path, 7, index, "x" * 101 if index == 4 else f"text {index}")
    result = embed_by_api(tmp_path, server)
    assert result.returncode == 1
    assert "maximum context length is 100 characters" in result.stdout
    assert "converted_question_7_sample_4.json" in result.stdout
    assert [index for _, index in list_files(tmp_path, "embedded")] == [0, 1, 2, 3, 5]


def test_a_server_that_breaks_down_keeps_what_is_done_and_the_next_run_does_the_rest(server, tmp_path):
    for index in range(4):
        write_answer(tmp_path, 7, index, f"text {index}")
    server.fault = lambda request: 403 if "text 2" in request["input"] else None
    script = (SCRIPT, "--input_dir", tmp_path, "--embedding_model", API_MODEL, "--batch_size", 2)
    environment = {**OFFLINE, "OPENAI_BASE_URL": server.url}
    result = run_script(*script, **environment)
    assert result.returncode == 1
    assert "stopped answering" in result.stdout
    assert [index for _, index in list_files(tmp_path, "embedded")] == [0, 1]
    server.fault = lambda request: None
    server.requests.clear()
    assert run_script(*script, **environment).returncode == 0
    assert [text for request in server.requests for text in request["input"]] == ["text 2", "text 3"]


def test_another_model_is_refused_or_embeds_everything_anew(server, tmp_path):
    server.models = (API_MODEL, "text-embedding-other")
    write_answer(tmp_path, 7, 0, "text")
    assert embed_by_api(tmp_path, server).returncode == 0
    write_answer(tmp_path, 7, 1, "more")
    other = ("--embedding_model", "text-embedding-other")
    refused = embed_by_api(tmp_path, server, *other)
    assert (refused.returncode, "other settings" in refused.stderr) == (2, True)
    assert embed_by_api(tmp_path, server, *other, "--allow_other_settings").returncode == 0
    models = {json.loads(path.read_text())["embedding_model"] for path in list_files(tmp_path, "embedded").values()}
    assert (models, len(list_files(tmp_path, "embedded"))) == ({"text-embedding-other"}, 2)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--input_dir", "no/such/folder"), "there is no folder"),
        (("--embedding_model", API_MODEL), "needs OPENAI_API_KEY"),
        (("--embedding_model", "no-such-model"), "there is no sentence-transformers model 'no-such-model'"),
        (("--embedding_url", "http://127.0.0.1:9/v1"), "no server answers"),
        (("--batch_size", "0"), "BATCH_SIZE is at least 1"),
    ],
)
def test_bad_input_ends_in_one_sentence(tmp_path, flags, sentence):
    write_answer(tmp_path, 1, 0, "text")
    result = run_script(SCRIPT, "--input_dir", tmp_path, *flags, **OFFLINE)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not list_files(tmp_path, "embedded")
    assert not (tmp_path / "run.json").exists()
