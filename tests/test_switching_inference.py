"""Step 1b with the toy server, whose tokens are bytes: turns, their boundaries, limits and authors."""

import functools
import itertools
import json
import operator

import pytest
import quick_scripts
from problem_rows import HUMANEVAL, MBPP, write
from quick_scripts import SWITCHING

from hindsight.conversion.code_alone import convert_code_alone
from hindsight.conversion.conversions import raw_answer
from hindsight.files.answer_files import list_files
from hindsight.text.code_blocks import find_code_blocks

OPENING = "<begin_of_slow_thought>\n\n"


def repeat(texts):
    """An answer function by which each model repeats its own text."""
    return lambda request: texts[request["model"]] * 100


@pytest.fixture
def switch(toy, tmp_path):
    toy.answer = repeat({"lab-instruct": "i", "lab-base": "b"})

    def run(*flags):
        common = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--output_dir", tmp_path / "run"]
        common += ["--end_idx", 1, "--num_samples", 1]
        result = quick_scripts.run(tmp_path / "output", SWITCHING, *common, *flags)
        files = list_files(tmp_path / "run", "sample") if (tmp_path / "run").exists() else {}
        return result, [json.loads(path.read_text()) for path in files.values()]

    return run


def test_the_instruct_model_starts_and_turns_have_p_and_k_tokens_until_the_limit(switch):
    result, (record,) = switch("--k", 2, "--p", 3, "--total_new_tokens", 12)
    assert result.returncode == 0, result.stderr
    assert record["generated_text"] == OPENING + "iiibbiiibbii"
    assert (record["finish_reason"], record["usage"]["completion_tokens"]) == ("length", 12)


def test_segments_record_which_model_wrote_which_characters(switch):
    _, (record,) = switch("--k", 2, "--p", 3, "--total_new_tokens", 12)
    text, end = record["generated_text"], len(OPENING)
    for segment in record["segments"]:
        assert segment["start"] == end
        end = segment["end"]
        assert set(text[segment["start"] : end]) == {segment["model"][0]}
        assert segment["tokens"] == end - segment["start"]
    assert end == len(text)


def test_every_turn_continues_the_tokens_of_the_earlier_turns(switch, toy):
    switch("--k", 2, "--p", 3, "--total_new_tokens", 12)
    answers = []
    for request in toy.requests:
        text = bytes(request["prompt"]).decode()
        answers.append(text[text.rindex(OPENING) + len(OPENING) :])
    assert answers == ["", "iii", "iiibb", "iiibbiii", "iiibbiiibb"]
    assert len({request["seed"] for request in toy.requests}) == 5


def test_a_model_that_ends_ends_the_answer(switch, toy):
    toy.answer = lambda request: "iiiiii" if request["model"] == "lab-instruct" else "b"
    _, (record,) = switch("--k", 4, "--p", 3, "--total_new_tokens", 50)
    assert record["generated_text"] == OPENING + "iiib"
    assert record["finish_reason"] == "stop"


def test_a_stop_string_that_spans_two_turns_ends_the_answer_and_is_kept(switch, toy):
    toy.answer = repeat({"lab-instruct": "x<end_of_", "lab-base": "solution>\nUser: more"})
    _, (record,) = switch("--p", 9, "--k", 15, "--total_new_tokens", 100)
    assert record["generated_text"] == OPENING + "x<end_of_solution>"
    assert (record["finish_reason"], record["segments"][-1]["end"]) == ("stop", len(record["generated_text"]))


@pytest.mark.parametrize(
    ("target", "turns", "text"),
    [
        ("é<think>é", ("--k", 1, "--p", 3, "--first", "base"), "é<think>é"),
        ("naïve 数学 \U0001f600!" * 3, ("--k", 2, "--p", 3), "naïve 数学 \U0001f600!" * 3),
        ("xéabb", ("--k", 2, "--p", 2, "--stop", "ab"), "xéab"),
    ],
)
def test_a_character_whose_bytes_lie_in_two_turns_is_whole(switch, toy, target, turns, text):
    """An id with different texts keeps that of its model, and a stop string that spans two turns ends the answer."""
    toy.special = {"lab-instruct": {300: "<think>"}, "lab-base": {300: "<|reserved|>"}}

    def continue_target(request):
        written = toy.decode(request["model"], request["prompt"]).split(OPENING.encode())[-1]
        return target.encode()[len(written) :]

    toy.answer = continue_target
    _, (record,) = switch(*turns, "--total_new_tokens", 500)
    assert record["generated_text"] == OPENING + text
    ends = [segment["end"] for segment in record["segments"]]
    starts = [segment["start"] for segment in record["segments"]]
    assert starts == [len(OPENING), *ends[:-1]]
    assert ends[-1] == len(record["generated_text"])


def test_turns_of_models_with_different_tokenizers_are_joined_as_text(switch, toy):
    toy.shift = {"lab-base": 1}
    _, (record,) = switch("--k", 2, "--p", 3, "--total_new_tokens", 8)
    assert record["generated_text"] == OPENING + "iiibbiii"
    assert record["generation_config"]["joined_by"] == "text"
    assert toy.requests[1]["prompt"].endswith(OPENING + "iii")


@pytest.mark.slow
def test_a_run_killed_five_times_and_resumed_equals_an_undisturbed_run(switch, toy, tmp_path):
    toy.answer = lambda request: f"{request['seed']} " * 9
    flags = ["--end_idx", 12, "--num_samples", 5, "--k", "2-9", "--p", "geometric 9", "--first", "random"]
    flags += ["--total_new_tokens", 40, "--concurrency", 4]
    switch(*flags, "--output_dir", tmp_path / "whole")
    toy.delay, killed = 0.005, tmp_path / "killed"
    urls = ["--base_model_urls", toy.url, "--instruct_model_urls", toy.url, "--output_dir", killed]
    quick_scripts.kill_at_moments(tmp_path / "output", toy, SWITCHING, *urls, *flags, most=40)
    assert 0 < len(list_files(killed, "sample")) < 60
    result, _ = switch(*flags, "--output_dir", killed)
    assert result.returncode == 0
    assert quick_scripts.everything(killed) == quick_scripts.everything(tmp_path / "whole")


def test_the_settings_that_were_sent_are_recorded_for_each_model(switch, toy):
    _, (record,) = switch("--k", 2, "--p", 3, "--total_new_tokens", 5)
    config = record["generation_config"]
    for request, role in zip(toy.requests, ("instruct", "base"), strict=True):
        assert {key: request[key] for key in ("model", "temperature", "top_p")} == {
            key: config[role][key] for key in ("model", "temperature", "top_p")
        }
        assert request["max_tokens"] == int(config[role]["tokens_a_turn"])
    assert [segment["seed"] for segment in record["segments"]] == [request["seed"] for request in toy.requests]


def test_a_turn_whose_counts_are_wrong_is_requested_again_and_a_missing_count_is_not_zero(switch, toy):
    """Every second reply is wrong: its count of tokens, its token ids or its log-probabilities."""
    count = ["choices", 0, "token_ids"], ["choices", 0, "logprobs", "token_logprobs"]
    wrong = [(["usage", "completion_tokens"], 10**9), (["usage", "completion_tokens"], 1)]
    wrong += [(path, length) for path in count for length in ([1] * 50, [1], [])]
    replies = itertools.count()

    def spoil(path, body):
        if path == "/completions" and toy.requests:
            body["usage"].pop("prompt_tokens")
            if (number := next(replies)) % 2 == 0:
                (*keys, last), value = wrong[number // 2]
                functools.reduce(operator.getitem, keys, body)[last] = value
        return body

    toy.rewrite = spoil
    result, (record,) = switch("--k", 2, "--p", 3, "--total_new_tokens", 20, "--logprobs", 1)
    assert (result.returncode, len(toy.requests)) == (0, 16), result.stdout
    assert record["generated_text"] == OPENING + "iiibb" * 4
    assert (record["usage"], record["logprobs"]) == ({"completion_tokens": 20}, [-0.5] * 20)


CODE = "def add(a, b):\n    return a + b"
IN_STYLE = ("--prompt_style", "evalplus", "--k", 4, "--p", 7, "--total_new_tokens", 200)


def writes_code(toy, begun):
    """Both models go on with the code where it stands, and then go on past its end."""

    def answer(request):
        written = bytes(request["prompt"]).decode()
        text = next(written.rpartition(end)[2] for end in begun if end in written)
        return f"{CODE}\n```\nIt adds."[len(text) :]

    toy.answer = answer


@pytest.mark.parametrize(("flags", "base_sees"), [((), '"""\n'), (("--base_in_chat",), "```python\n")])
def test_both_models_continue_code_in_a_prompt_style(switch, toy, tmp_path, flags, base_sees):
    writes_code(toy, ("for it:\n```python\n", '== 3\n"""\n'))
    result, (record,) = switch("--problems", write(tmp_path / "plus.jsonl", MBPP), *IN_STYLE, *flags)
    assert result.returncode == 0, result.stderr
    for request, role in zip(toy.requests, ("instruct", "base") * 9, strict=False):
        before = bytes(request["prompt"]).decode().removesuffix("\n")
        assert before.count("def add") == (request is not toy.requests[0]), role
        assert len(request["stop"]) <= 4 and "continue_final_message" not in request
    first_of_base = bytes(toy.requests[1]["prompt"]).decode()
    assert first_of_base.endswith(base_sees + CODE[:7])
    assert record["generated_text"] == f"{CODE}\n```\n" and record["finish_reason"] == "stop"
    chat, base = record["prompt"]["instruct"], record["prompt"]["base"]
    assert base == (chat if flags else MBPP["prompt"])
    assert (record["prompt_style"], record["continues"]) == ("evalplus", chat[-1]["content"])
    assert ("\nassert" in record["stop_words"]) is (not flags) and "\n```\n" in record["generation_config"]["stop"]
    (block,) = find_code_blocks(convert_code_alone(raw_answer((2, 0), record)).sections.solution)
    assert block.code == f"{CODE}\n"


def test_a_task_whose_text_is_continued_by_other_code_is_refused_unless_both_are_asked_in_chat(switch, tmp_path):
    """HumanEval's text is the head of the function, and the chat asks for the whole function."""
    file = write(tmp_path / "human.jsonl", HUMANEVAL)
    result, records = switch("--problems", file, *IN_STYLE)
    assert (result.returncode, records, "give --base_in_chat" in result.stderr) == (2, [], True), result.stderr
    result, records = switch("--problems", file, *IN_STYLE, "--base_in_chat")
    assert (result.returncode, len(records)) == (0, 1), result.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--k", "0"], "at least 1, not '0'"),
        (["--base_model_urls", "http://127.0.0.1:9/v1"], "no server answers"),
        (["--base_model", "none"], "has no model 'none'"),
        (["--base_temperature", "inf"], "a temperature is a finite number of at least 0, not inf"),
        (["--prompt_style", "few_shot"], "few_shot is not a chat prompt for the instruct model"),
    ],
)
def test_bad_input_is_one_sentence(switch, flags, sentence):
    result, records = switch(*flags)
    assert (result.returncode, records) == (2, [])
    assert sentence in result.stderr
