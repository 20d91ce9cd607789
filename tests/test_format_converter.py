"""Step 2 as a user runs it: rules word for word, in several processes, stopped and started again; bad input."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from loose_answers import CODE, PLAIN, loose
from quick_scripts import CONVERTER
from scripts import converted, texts

from hindsight.conversion.reader import read
from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run
from hindsight.text.program_choice import ProgramTarget, find_program
from hindsight.text.uniform_format import render


def test_an_answer_with_the_structure_is_rewritten_word_for_word(run_folder, convert):
    folder = run_folder(PLAIN)
    assert convert(folder).returncode == 0
    (record,) = converted(folder)
    assert record["converted_text"] == render("Hm, echo.", CODE)
    assert record["conversion"] == {"how": "rules", "rule": "sections", "kept": 1.0, "new": 0, "code": "equal"}
    assert (record["more"], record["generated_text"]) == (0, PLAIN)


def test_without_a_model_the_last_block_is_the_solution_and_what_has_none_is_counted(run_folder, convert):
    folder = run_folder(loose(7), "only talk", PLAIN)
    result = convert(folder)
    assert (result.returncode, "2 converted" in result.stdout) == (1, True)
    assert "1 failed: it holds no program: question_1_sample_0.json" in result.stdout
    first = converted(folder)[0]
    assert first["conversion"]["rule"] == "last code block"
    assert find_program(first["converted_text"], ProgramTarget()) == "x = int(input())\nprint(x + 7)\n"
    assert read_run(folder)["steps"][CONVERTER]["rules"] == {"last code block": 1, "sections": 1}


def test_what_the_token_limit_cut_off_is_neither_converted_nor_asked_for(run_folder, ask, toy):
    folder = run_folder(f"<think>\nDraft:\n{CODE}\nNo, that", f"Here:\n{CODE}\nThis re", finish_reason="length")
    result = ask(folder)
    assert "1 failed: it was cut off by length before its solution: question_0_sample_0.json" in result.stdout
    assert [record["question_id"] for record in converted(folder)] == [1]
    assert toy.requests == []


def test_no_answer_is_told_from_undecided(run_folder, convert):
    cut = {"generated_text": f"Draft:\n{CODE}\nNo, that", "finish_reason": "length", "thought_open": True}
    folder = run_folder(PLAIN, "only talk", "Print it:\n\nprint(input()\n\nDone.", PLAIN)
    path = folder / "question_3_sample_0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **cut}))
    result = convert(folder)
    assert (result.returncode, len(converted(folder))) == (1, 1)
    assert json.loads((folder / "no_answers.json").read_text()) == {
        "question_1_sample_0.json": "it holds no program",
        "question_3_sample_0.json": "it was cut off by length before its solution",
    }
    assert "rules: 1 answers converted, 1 undecided, 2 hold no answer" in result.stdout
    assert "3 not converted; 2 of these hold no answer and count as wrong" in result.stdout
    assert read_run(folder)["steps"][CONVERTER]["no_answer"] == 2


def test_no_model_is_asked_about_a_thought_that_was_cut_off_even_if_rules_never_decide(run_folder, ask, toy):
    folder = run_folder(f"<think>\nDraft:\n{CODE}\nNo, that", finish_reason="length")
    result = ask(folder, "--rules", "never")
    assert (converted(folder), toy.requests) == ([], [])
    assert "1 of these hold no answer" in result.stdout


def test_special_tokens_at_the_ends_are_dropped_and_counted(run_folder, convert):
    folder = run_folder(f"{PLAIN}<|im_end|>\n</s>", PLAIN)
    result = convert(folder)
    assert texts(folder) == [render("Hm, echo.", CODE)] * 2
    assert converted(folder)[0]["conversion"]["special_tokens"] == 2
    assert "1  of them had special tokens at their ends, which were dropped" in result.stdout


def test_the_problem_decides_between_two_blocks(run_folder, convert):
    text = "```python\ndef add(a, b):\n    return a + b\n```\n\nUsage:\n\n```python\nprint(add(1, 2))\n```"
    folder = run_folder(text, metadata={"fn_name": "add"})
    assert convert(folder).returncode == 0
    assert converted(folder)[0]["conversion"]["rule"] == "the code block that fits"


def test_a_code_block_without_its_end_gets_one(run_folder, convert):
    folder = run_folder("<think>\nEcho.\n</think>\n\n```python\nprint(input())")
    assert convert(folder).returncode == 0
    assert texts(folder) == [render("Echo.", CODE)]


def test_a_program_in_no_code_block_gets_one_if_it_is_all_of_the_solution(run_folder, convert):
    draft = "Draft:\n```python\nprint(1)\n```"
    folder = run_folder(f"<think>\n{draft}\n</think>\n\nprint(input())", f"<think>\n{draft}\n</think>\n\nNo idea.")
    result = convert(folder)
    assert (result.returncode, texts(folder)) == (1, [render(draft, CODE)])
    assert "1 failed: it holds no program: question_1_sample_0.json" in result.stdout
    assert converted(folder)[0]["conversion"]["rule"] == "rest after the thought, program in no code block"


def test_what_a_base_model_went_on_with_is_left_out_and_counted(run_folder, convert):
    folder = run_folder(f"{render('Echo.', CODE)}\n\nUser: Another one?")
    assert convert(folder).returncode == 0
    (record,) = converted(folder)
    assert record["converted_text"] == render("Echo.", CODE)
    assert record["conversion"]["left_out"] == len("User: Another one?")


def test_the_output_can_go_to_another_folder(run_folder, convert, tmp_path):
    folder = run_folder(PLAIN)
    convert(folder, "--output_dir", tmp_path / "other")
    assert len(converted(tmp_path / "other")) == 1
    assert list_files(folder, "converted") == {}


def test_an_output_folder_takes_the_conversions_of_one_input_folder_only(run_folder, convert, tmp_path):
    first, second, output = run_folder(PLAIN, name="first"), run_folder(PLAIN, PLAIN, name="second"), tmp_path / "out"
    assert convert(first, "--output_dir", output).returncode == 0
    result = convert(second, "--output_dir", output)
    assert (result.returncode, len(converted(output))) == (2, 1)
    assert result.stderr == (
        f"format_converter.py: {output} holds conversions of {first}; give {second} another OUTPUT_DIR\n"
    )
    (tmp_path / "link").symlink_to(first)
    assert convert(tmp_path / "link" / ".." / "first", "--output_dir", output).returncode == 0


def test_converted_answers_are_not_converted_again(run_folder, convert):
    folder = run_folder(PLAIN, loose(1))
    convert(folder)
    before = {path: path.stat().st_mtime_ns for path in list_files(folder, "converted").values()}
    assert "2 answers, 2 converted before" in convert(folder).stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_several_processes_write_what_one_does(run_folder, convert):
    answers = [[PLAIN, loose(number), "talk", f"<think>{number}</think>\n{CODE}"][number % 4] for number in range(320)]
    folders = [run_folder(*answers, name=name) for name in ("one", "two")]
    for folder, workers in zip(folders, (1, 2), strict=True):
        assert convert(folder, "--workers", workers).returncode == 1
    assert converted(folders[0]) == converted(folders[1])
    assert len(converted(folders[0])) == 240
    assert read_run(folders[0])["steps"][CONVERTER]["rules"] == read_run(folders[1])["steps"][CONVERTER]["rules"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_processes_read_it_goes_on_and_leaves_none_behind(run_folder, convert, tmp_path, number):
    folder = run_folder(*[PLAIN] * 600)
    first = folder / "question_0_sample_0.json"
    whole = first.rename(tmp_path / "whole.json")
    os.mkfifo(first)  # who reads it waits, so that the other answers are not all converted before the stop
    pipe = os.open(first, os.O_RDWR)
    process = convert(folder, "--workers", 2, start=True)
    while len(list(folder.glob("converted_*"))) < 70:
        time.sleep(0.005)
    workers = [int(pid) for pid in children(process.process.pid)]
    os.kill(process.process.pid, number)
    os.write(pipe, whole.read_bytes())
    whole.replace(first)
    os.close(pipe)
    process.process.wait(30)
    assert workers
    assert 70 <= len(converted(folder)) < 600
    until = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers)
    assert convert(folder).returncode == 0
    assert texts(folder) == [render("Hm, echo.", CODE)] * 600
    assert not list(folder.glob(".*.tmp"))


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_broken_file_is_named_and_the_others_are_converted(run_folder, ask):
    folder = run_folder(PLAIN, PLAIN, loose(1), 5)
    (folder / "question_1_sample_0.json").write_text("{")
    result = ask(folder)
    assert (result.returncode, len(converted(folder))) == (1, 2)
    assert "2 failed: a broken file: " in result.stdout
    assert "question_1_sample_0.json is not valid JSON" in result.stdout
    assert "generated_text is not a text" in result.stdout


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--input_dir", "no/such/folder"], "there is no folder no/such/folder"),
        (["--rules", "last"], "RULES is first, only or never"),
        (["--rules", "never"], "RULES never needs a reformatting model"),
        (["--llm_mode", "copy"], "LLM_MODE is cut or rewrite"),
        (["--budget", "5"], 'BUDGET is "5 USD"'),
        (["--min_kept", 2], "MIN_KEPT lies in [0, 1]"),
        (["--batch"], "BATCH needs a reformatting model"),
        (["--batch", "--cache", ""], "BATCH keeps its replies in CACHE"),
        (["--llm_model", "gpt-4o-mini"], "gpt-4o-mini needs OPENAI_API_KEY"),
        (["--llm_url", "http://127.0.0.1:9/v1"], "no server answers at http://127.0.0.1:9/v1"),
    ],
)
def test_bad_input_is_one_sentence(run_folder, convert, flags, sentence):
    result = convert(run_folder(PLAIN), *flags)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert sentence in result.stderr


def test_whatever_rules_convert_reads_again_as_the_same(run_folder, convert):
    folder = run_folder(PLAIN, loose(2), f"## Thought\nEcho.\n## Solution\n{CODE}")
    convert(folder)
    for record in converted(folder):
        found = read(record["converted_text"])
        assert render(found.thought, found.solution) == record["converted_text"]
