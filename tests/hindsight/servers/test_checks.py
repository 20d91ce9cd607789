"""What is reported before a run, and what stops it: servers, models, context, seeds, the size of the run, dry runs."""

import json
import threading
import time

import pytest
import quick_scripts
from quick_scripts import SWITCHING
from toy_server import ToyServer

from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run
from hindsight.problem_sets.selection import load_problems
from hindsight.text.prompts import Prompts


def sizes(problems):
    """Bytes of the chat prompts: a token of the toy server is a byte."""
    chats = [Prompts().chat(problem) for problem in problems]
    return [sum(len(message["content"].encode()) for message in chat) for chat in chats]


def test_the_run_waits_for_a_server_that_is_still_starting(sample, toy, tmp_path):
    toy.stop()
    threading.Timer(1.0, toy.start).start()
    result = sample("--wait_for_server", 30)
    assert (result.returncode, len(list_files(tmp_path / "run", "sample"))) == (0, 6)


def test_a_server_that_does_not_start_is_given_up_after_the_wait(sample, toy, tmp_path):
    toy.stop()
    begin = time.monotonic()
    result = sample("--wait_for_server", 1)
    assert (result.returncode, f"no server answers at {toy.url}" in result.stderr) == (2, True)
    assert time.monotonic() - begin >= 1
    assert not (tmp_path / "run").exists()


def test_each_of_several_servers_must_serve_the_model(sample, toy, tmp_path):
    with ToyServer(models=("other",)) as other:
        result = sample("--base_urls", toy.url, other.url)
    assert (result.returncode, f"{other.url} has no model 'lab-instruct'; it has other" in result.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_findings_are_printed_and_recorded(sample, toy, tmp_path):
    toy.context, problems = 5000, load_problems("lab", "test")[:3]
    mean = sum(sizes(problems)) / 3
    result = sample("--max_tokens", 100)
    sentences = [
        f"{toy.url} serves lab-instruct, context of 5,000 tokens",
        f"instruct: prompts have {mean:.0f} tokens on average; with 100 new tokens in a context of 5000, all fit",
        "instruct: the same seed gives the same text",
    ]
    for sentence in sentences:
        assert sentence in result.stdout.splitlines()
    assert f"6 samples to make: at most 600 new tokens, from about {round(6 * mean):,} prompt tokens" in result.stdout
    assert read_run(tmp_path / "run")["checked"] == sentences


def test_prompts_that_do_not_fit_are_counted_exactly(sample, toy):
    problems = load_problems("lab", "test")[:3]
    smallest, middle, largest = sorted(sizes(problems))
    assert smallest < middle < largest
    toy.context = middle + 100
    result = sample("--max_tokens", 100)
    assert "1 of 3 do not fit and will fail" in result.stdout
    assert (result.returncode, "4 samples written, 2 missing" in result.stdout) == (1, True)


def test_a_run_in_which_no_prompt_fits_stops_before_its_first_request(sample, toy, tmp_path):
    toy.context = 100
    result = sample()
    assert (result.returncode, "no prompt fits: the prompts have up to" in result.stderr) == (2, True)
    assert (toy.requests, (tmp_path / "run").exists()) == ([], False)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("the same text", "two seeds gave one text, so all samples may be the same"),
        (None, "one seed gave two texts, so samples cannot be reproduced"),
    ],
)
def test_a_server_that_ignores_seeds_is_reported(sample, toy, answer, sentence):
    toy.answer = lambda request: answer or f"text {time.monotonic_ns()}"
    assert f"instruct: the server ignores seeds: {sentence}" in sample().stdout


def test_switching_needs_the_endpoints_of_vllm_and_reports_it(toy, tmp_path):
    toy.tokenizer_fault = lambda request: "not json"
    flags = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--output_dir", tmp_path / "run"]
    result = quick_scripts.run(tmp_path / "output", SWITCHING, *flags, "--end_idx", 1)
    assert (result.returncode, "switching needs vLLM's /tokenize and /detokenize" in result.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_shows_a_whole_prompt_of_each_kind_and_writes_nothing(sample, toy, tmp_path):
    rows = [
        {"question": "Read and add.", "input_output": '{"inputs": ["1"], "outputs": ["1"]}'},
        {"question": "Read and add again.", "input_output": '{"inputs": ["1"], "outputs": ["1"]}'},
        {"question": "Double it.", "input_output": '{"fn_name": "double", "inputs": [[1]], "outputs": [2]}'},
    ]
    (tmp_path / "problems.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = sample("--problems", tmp_path / "problems.jsonl", "--split", "", "--dry_run")
    assert (result.returncode, toy.requests, (tmp_path / "run").exists()) == (0, [], False)
    assert "----- instruct (lab-instruct), standard input, question 0" in result.stdout
    assert "----- instruct (lab-instruct), function, question 2" in result.stdout
    for number in (0, 2):
        for message in Prompts().chat(load_problems(str(tmp_path / "problems.jsonl"))[number]):
            assert message["content"] in result.stdout
    assert "Read and add again." not in result.stdout
    assert "6 samples to make" in result.stdout


def test_a_dry_run_of_switching_shows_the_prompts_of_both_models_and_how_turns_are_joined(toy, tmp_path):
    flags = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--output_dir", tmp_path / "run"]
    result = quick_scripts.run(tmp_path / "output", SWITCHING, *flags, "--dry_run")
    assert (result.returncode, toy.requests, (tmp_path / "run").exists()) == (0, [], False)
    assert "the two tokenizers agree: turns are joined as tokens" in result.stdout
    assert "----- instruct (lab-instruct)" in result.stdout
    assert "Assistant: <begin_of_slow_thought>" in result.stdout.split("----- base (lab-base)")[1]


def test_the_progress_bar_counts_finished_failed_and_cut_off_samples(sample, toy):
    asked = []
    toy.finish, toy.fault = "length", lambda request: asked.append(request) or (400 if len(asked) == 1 else None)
    last = sample().stderr.replace("\r", "\n").strip().splitlines()[-1]
    assert "6/6" in last
    for part in ("1 failed", "tokens/s", "100% cut off"):
        assert part in last
