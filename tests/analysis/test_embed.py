"""analysis/embed.py as a user runs it: the real all-MiniLM-L6-v2, and a small HTTP server that speaks the API."""

import json
import random
import time

import numpy as np
import pytest
from embedding_server import (
    API_MODEL,
    OFFLINE,
    SCRIPT,
    EmbeddingServer,
    embed_by_api,
    numbers,
    solution,
    start_by_api,
    step_of,
    vector,
    write_answer,
)
from scripts import run_in_process, run_script

from analysis import embed
from analysis.measures.embedding_diversity import pairwise_similarities
from analysis.reading import vectors
from hindsight.curation.selection import answer_distances
from hindsight.errors import UserError
from hindsight.files.answer_files import converted_path, embedded_path, list_files
from hindsight.files.records import write_json
from hindsight.text.uniform_format import render

pytestmark = pytest.mark.slow  # together they take over ten seconds

TEXTS = (
    "The sum of two numbers: a, b = map(int, input().split()); print(a + b)",
    "The sum of two integers: a, b = map(int, input().split()); print(a + b)",
    "Queen Victoria bought seven umbrellas in a rainy town by the sea.",
)


@pytest.fixture
def server():
    with EmbeddingServer(models=(API_MODEL,)) as running:
        yield running


@pytest.fixture
def offline(monkeypatch):
    """This process has no key and does not ask the Hub."""
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.slow
def test_minilm_puts_similar_texts_close_and_a_second_run_embeds_nothing(offline, tmp_path):
    for index, text in enumerate(TEXTS):
        write_answer(tmp_path, 1, index, text)
    result = run_in_process(embed, "--input_dirs", tmp_path)
    assert (result.returncode, "3 embedded" in result.stdout) == (0, True), result.stdout + result.stderr
    alike, *unlike = pairwise_similarities(np.stack([vector(tmp_path, 1, index) for index in range(3)]))
    assert alike > 0.9 > 0.4 > max(unlike)
    assert len(vector(tmp_path, 1, 0)) == 384
    record = json.loads(embedded_path(tmp_path, 1, 0).read_text())
    assert record["metadata"] == {"question": "?"}
    assert record["embedding_model"] == "all-MiniLM-L6-v2"
    assert "model: all-MiniLM-L6-v2 on this machine, since OPENAI_API_KEY is not set" in result.stdout
    step = step_of(tmp_path)
    assert (step["missing"], step["cut"], step["embedded"]) == (0, {}, {"generated": 3, "converted": 3})
    assert step["settings"]["embedding_model"] == "all-MiniLM-L6-v2"

    before = {path: path.stat().st_mtime_ns for path in list_files(tmp_path, "embedded").values()}
    again = run_in_process(embed, "--input_dirs", tmp_path)
    assert (again.returncode, "3 embedded before" in again.stdout) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_a_broken_file_is_reported_the_others_are_embedded_and_cut_texts_are_counted(offline, tmp_path):
    write_answer(tmp_path, 1, 0, TEXTS[0])
    write_answer(tmp_path, 1, 1, "word " * 400, converted=TEXTS[1])
    write_answer(tmp_path, 1, 2, "word " * 400)
    converted_path(tmp_path, 2, 0).write_text('{"generated_text": "cut of')
    write_json(converted_path(tmp_path, 3, 0), {"generated_text": None, "converted_text": "x"})
    write_answer(tmp_path, 4, 0, "half of a pair: \ud800")
    result = run_in_process(embed, "--input_dirs", tmp_path)
    assert result.returncode == 1
    assert "3 embedded by all-MiniLM-L6-v2, 3 not" in result.stdout
    assert "longer than the model's 256 tokens and cut there: 2 generated, 1 converted" in result.stdout
    assert "converted_question_2_sample_0.json is not valid JSON" in result.stdout
    assert "converted_question_3_sample_0.json" in result.stdout
    assert list(list_files(tmp_path, "embedded")) == [(1, 0), (1, 1), (1, 2)]
    long = [vector(tmp_path, 1, index, "generated_embedding") for index in (1, 2)]
    assert (long[0] == long[1]).all()


def test_the_api_embeds_each_text_once_and_each_answer_gets_its_own_vector(server, tmp_path):
    for index in range(5):
        write_answer(tmp_path, 7, index, f"raw {index % 2}", f"converted {index}")
    result = embed_by_api(tmp_path, server, "--batch_size", 3)
    assert result.returncode == 0, result.stdout + result.stderr
    assert sorted(server.sent) == [*(f"converted {index}" for index in range(5)), "raw 0", "raw 1"]
    assert max(len(request["input"]) for request in server.requests) == 3
    for index in range(5):
        assert vector(tmp_path, 7, index) == pytest.approx(numbers(f"converted {index}"))
        assert vector(tmp_path, 7, index, "generated_embedding") == pytest.approx(numbers(f"raw {index % 2}"))


def test_files_written_before_the_server_failed_stay_and_the_next_run_resumes(server, tmp_path):
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


def test_another_model_is_refused_or_embeds_everything_again(server, tmp_path):
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
        (("--input_dirs", "no/such/folder"), "there is no folder"),
        (("--embedding_model", API_MODEL), "needs OPENAI_API_KEY"),
        (("--embedding_model", "no-such-model"), "there is no sentence-transformers model 'no-such-model'"),
        (("--embedding_url", "http://127.0.0.1:9/v1"), "no server answers"),
        (("--batch_size", "0"), "BATCH_SIZE is at least 1"),
        (("--what", "codes"), "WHAT has values from generated, converted, code, not 'codes'"),
        (("--what",), "WHAT has values from"),
        (("--input_dirs",), "INPUT_DIRS needs a run folder"),
        (("--concurrency", "0"), "CONCURRENCY is 1 or more"),
        (("--budget", "much"), "BUDGET is"),
    ],
)
def test_bad_input_ends_in_one_sentence(offline, tmp_path, flags, sentence):
    write_answer(tmp_path, 1, 0, "text")
    result = run_in_process(embed, "--input_dirs", tmp_path, *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
    assert not list_files(tmp_path, "embedded")
    assert not (tmp_path / "run.json").exists()


def test_another_kind_of_text_adds_to_the_files_and_embeds_nothing_twice(server, tmp_path):
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


def test_a_changed_text_is_embedded_again_and_a_known_text_is_not(server, tmp_path):
    """Answer 1 gets another converted text; answer 2 is new, but both of its texts have embeddings."""
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


def test_readers_skip_answers_without_a_program_and_refuse_files_without_the_kind(server, tmp_path):
    folder = tmp_path / "r"
    write_answer(folder, 7, 0, "raw", solution("print(1)"))
    write_answer(folder, 7, 1, "raw", render("hm", "none"))
    server.longest = 1000
    assert embed_by_api(folder, server, "--what", "code").returncode == 0
    assert list(vectors.load_embeddings(folder, "code")) == [(7, 0)]
    with pytest.raises(UserError, match="lacks converted_embedding; .* --what converted"):
        vectors.load_embeddings(folder)
    files = list(list_files(folder, "converted").values())
    assert answer_distances(files)[0] == "by code tokens"
    assert embed_by_api(folder, server).returncode == 0
    assert (len(vectors.load_embeddings(folder)), answer_distances(files)[0]) == (2, "by embedding")


def test_with_a_key_the_default_is_the_api_and_its_cost_is_reported_before_and_after(
    server, offline, tmp_path, monkeypatch
):
    for index in range(3):
        write_answer(tmp_path, 7, index, "x" * 29, "y" * 89)  # at 3 bytes per token 10 and 30 tokens, each text once
    for name, value in (("OPENAI_BASE_URL", server.url), ("OPENAI_API_KEY", "k")):
        monkeypatch.setenv(name, value)
    dry = run_in_process(embed, "--input_dirs", tmp_path, "--dry_run", "--price", 1000)
    assert (dry.returncode, server.sent, (tmp_path / "run.json").exists()) == (0, [], False), dry.stderr
    assert f"model: {API_MODEL} at {server.url}, since OPENAI_API_KEY is set" in dry.stdout
    assert "3 answers to embed: about 40 tokens, $0.0400" in dry.stdout
    result = run_script(SCRIPT, "--input_dir", tmp_path)  # the flag of earlier versions
    assert "the bill: 1 requests, 118 tokens, $0.0000" in result.stdout, result.stdout + result.stderr
    step = step_of(tmp_path)
    assert (step["settings"]["embedding_model"], step["settings"]["price"]) == (API_MODEL, 0.02)
    assert step["bill"]["dollars"] == round(118 * 0.02 / 1e6, 6)
    assert json.loads(embedded_path(tmp_path, 7, 0).read_text())["embedding_model"] == API_MODEL


def test_runs_are_embedded_by_one_model_within_one_budget_and_each_has_its_own_files_and_counts(server, tmp_path):
    """Also the byte-for-byte comparison with a run that is embedded alone; a folder that is named twice counts once."""
    one, two, three, alone = folders = [tmp_path / name for name in ("one", "two", "three", "alone")]
    for folder in folders:
        write_answer(folder, 7, 0, "a text", "a text of the same answer")
    write_answer(two, 7, 1, "x" * 60)
    assert embed_by_api(alone, server).returncode == 0
    server.requests.clear()
    flags = ("--budget", "100 tokens", "--batch_size", 1, "--concurrency", 1)
    result = embed_by_api(one, server, "--input_dirs", one, two, one / ".." / one.name, three, *flags)
    assert result.returncode == 1, result.stderr
    assert "one: 1 embedded by text-embedding-3-small, 0 not embedded" in result.stdout
    assert "two: 1 embedded by text-embedding-3-small, 1 not embedded" in result.stdout
    assert "the bill: 6 requests, 93 tokens" in result.stdout, result.stdout
    assert [step_of(folder)["bill"]["prompt_tokens"] for folder in (one, two, three)] == [31, 31, 31]
    assert [step_of(folder)["missing"] for folder in (one, two, three)] == [0, 1, 0]
    assert len({embedded_path(folder, 7, 0).read_bytes() for folder in folders}) == 1


def test_a_budget_is_never_exceeded(server, tmp_path):
    for index in range(6):
        write_answer(tmp_path, 7, index, f"{index}" * 50)
    result = embed_by_api(tmp_path, server, "--budget", "120 tokens", "--batch_size", 1, "--concurrency", 1)
    assert result.returncode == 1
    assert "2 embedded by text-embedding-3-small, 4 not" in result.stdout
    assert "the budget of 120 tokens might not be enough for it" in result.stdout
    assert len(server.sent) == 2


@pytest.mark.slow
def test_kills_leave_whole_files_and_stored_texts_are_not_embedded_again(server, tmp_path):
    """SIGKILL after a random number of requests, 8 times. Per kill, at most three batches of two are sent again."""
    moments, kills, batch, workers, again = random.Random(0), 8, 2, 3, []
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
        process.kill()
        for path in list_files(tmp_path, "embedded").values():
            assert json.loads(path.read_text())["converted_embedding"]
    assert 0 < len(list_files(tmp_path, "embedded")) < 120
    result = embed_by_api(tmp_path, server, *flags)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (again, len(list_files(tmp_path, "embedded"))) == ([], 120)
    assert 120 <= len(server.sent) <= 120 + kills * batch * workers
    assert not list(tmp_path.glob(".*.tmp"))
