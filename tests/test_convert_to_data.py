"""Step 4: limits, evenness, the same choice for the same seed, LLaMA-Factory's form, everything counted."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import run_script, write_converted

from convert_to_data import choose
from hindsight.formats import TAGS, extract_code
from hindsight.prompts import base_prompt

SCRIPT = "convert_to_data.py"
STDIN = {"question": "Echo the line.", "starter_code": "", "input_output": json.dumps({"inputs": [], "outputs": []})}
CALL = {"question": "Double.", "starter_code": "def double(n):", "input_output": '{"fn_name": "double"}'}
NUMBERS = st.dictionaries(st.integers(0, 30), st.integers(1, 8), min_size=1, max_size=12)


def answers(numbers):
    return {("set", problem): [Path(f"{problem}_{i}") for i in range(n)] for problem, n in numbers.items()}


@given(NUMBERS, st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_limits_hold_and_are_reached(numbers, most, most_per_problem, seed):
    chosen = choose(answers(numbers), most, most_per_problem, seed)
    per_problem = Counter(str(path).split("_")[0] for path in chosen)
    assert len(set(chosen)) == len(chosen)
    assert max(per_problem.values()) <= most_per_problem
    assert len(chosen) == min(most, sum(min(n, most_per_problem) for n in numbers.values()))


@given(NUMBERS, st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_no_problem_has_two_rows_more_than_another_that_has_answers_left(numbers, most, most_per_problem, seed):
    chosen = choose(answers(numbers), most, most_per_problem, seed)
    per_problem = Counter(int(str(path).split("_")[0]) for path in chosen)
    for problem, n in numbers.items():
        if per_problem[problem] < min(n, most_per_problem):
            assert max(per_problem.values()) <= per_problem[problem] + 1


@given(NUMBERS, st.integers(1, 40), st.integers(0, 5))
def test_a_seed_makes_one_choice_whatever_order_files_are_read_in(numbers, most, seed):
    by_problem = answers(numbers)
    backwards = {problem: paths[::-1] for problem, paths in reversed(by_problem.items())}
    assert choose(by_problem, most, 3, seed) == choose(backwards, most, 3, seed)


def test_another_seed_makes_another_choice():
    by_problem = answers({problem: 8 for problem in range(10)})
    assert choose(by_problem, 10, 1, 0) != choose(by_problem, 10, 1, 1)


@pytest.fixture
def checked(tmp_path):
    """A run folder: two correct answers, one wrong, one not judged."""
    folder = tmp_path / "run"
    write_converted(folder, 1, 0, "print(input())", STDIN, correctness=True)
    write_converted(folder, 1, 1, "print()", STDIN, correctness=False)
    write_converted(folder, 2, 0, "def double(n): return 2 * n", CALL, correctness=True)
    write_converted(folder, 3, 0, "print()", STDIN, correctness=None)
    return folder


def convert(checked, *flags):
    output = checked.parent / "data"
    result = run_script(SCRIPT, "--input_dirs", checked, "--output_dir", output, *flags)
    return result, output


def test_only_correct_answers_go_in_and_the_others_are_counted(checked):
    result, output = convert(checked)
    assert result.returncode == 0, result.stderr
    rows = json.loads((output / "hindsight.json").read_text())
    programs = {extract_code(row["conversations"][1]["value"]) for row in rows}
    assert programs == {"print(input())\n", "def double(n): return 2 * n\n"}
    assert "2 correct, 1 incorrect, 1 not judged answers" in result.stdout


def test_rows_are_sharegpt_and_the_system_prompt_names_the_tags_of_the_answers(checked):
    _, output = convert(checked)
    for row in json.loads((output / "hindsight.json").read_text()):
        assert set(row) == {"system", "conversations"}
        assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt"]
        for tag in TAGS:
            assert tag in row["system"]
            assert tag in row["conversations"][1]["value"]


def test_the_original_repositorys_metadata_tells_the_task_kind(checked):
    _, output = convert(checked)
    questions = {row["conversations"][0]["value"] for row in json.loads((output / "hindsight.json").read_text())}
    assert {"function `double`" in question for question in questions} == {True, False}


def test_the_entry_stands_in_dataset_info_beside_those_of_others(checked):
    _, output = convert(checked)
    convert(checked, "--name", "second")
    info = json.loads((output / "dataset_info.json").read_text())
    assert set(info) == {"hindsight", "second"}
    assert info["second"]["file_name"] == "second.json"
    assert (output / info["second"]["file_name"]).exists()
    assert info["second"]["columns"] == {"messages": "conversations", "system": "system"}


def test_a_base_models_rows_have_the_transcript_as_prompt(checked):
    _, output = convert(checked, "--base")
    for row in json.loads((output / "hindsight.json").read_text()):
        assert row["system"] == ""
        prompt, answer = (turn["value"] for turn in row["conversations"])
        assert (prompt + answer).startswith(base_prompt(CALL if "double" in prompt else STDIN))


def test_the_same_dataset_again_is_the_same_bytes(checked):
    _, output = convert(checked)
    before = (output / "hindsight.json").read_bytes()
    assert convert(checked)[0].returncode == 0
    assert (output / "hindsight.json").read_bytes() == before


def test_a_dataset_of_other_answers_is_not_overwritten_unless_told_to(checked):
    _, output = convert(checked)
    before = (output / "hindsight.json").read_bytes()
    for flags in (["--max_samples", 1], ["--base"]):
        result, _ = convert(checked, *flags)
        assert (result.returncode, "made of other answers; give another --name" in result.stderr) == (2, True)
    assert (output / "hindsight.json").read_bytes() == before
    assert convert(checked, "--max_samples", 1, "--overwrite")[0].returncode == 0
    assert len(json.loads((output / "hindsight.json").read_text())) == 1


def test_what_a_dataset_was_made_of_is_recorded(checked):
    _, output = convert(checked)
    sources = json.loads((output / "hindsight.sources.json").read_text())
    assert sources["counts"] == {"correct": 2, "incorrect": 1, "not judged": 1}
    assert len(sources["answers"]) == 2


def test_bad_input_is_one_sentence(checked, tmp_path):
    result, _ = convert(checked, "--max_samples", 0)
    assert (result.returncode, "at least 1" in result.stderr) == (2, True)
    write_converted(tmp_path / "wrong", 1, 0, "print()", STDIN, correctness=False)
    result = run_script(SCRIPT, "--input_dirs", tmp_path / "wrong", "--output_dir", tmp_path / "d")
    assert (result.returncode, "no correct answer in" in result.stderr) == (2, True)


def test_answers_without_a_verdict_are_named(checked):
    write_converted(checked, 9, 0, "print()", STDIN)
    result, _ = convert(checked)
    assert (result.returncode, "converted_question_9_sample_0.json lacks correctness" in result.stdout) == (1, True)
