"""Each kind of problem set through every step: sampled, converted, audited, judged, curated, counted, shown."""

import json

import pytest
from problem_rows import APPS, CODE_CONTESTS, HUB_MBPP, HUMANEVAL, LEETCODE, LIVECODEBENCH, MBPP, SIGNATURE, SUM, write
from scripts import run_in_process

import check_converted_samples
import convert_to_data
import format_converter
import pass_at_k_plot
import single_model_inference
from analysis import view_samples
from hindsight.files.answer_files import list_files
from SkyThought import audit_problems

TOTAL = "class Solution:\n    def total(self, nums, k):\n        return sum(nums) + k if nums else None"
ADD = "def add(a, b):\n    return a + b"
DOUBLE = f"{SIGNATURE}    return 2 * x"
KINDS = {  # rows, words of a prompt and the right program
    "livecodebench": ([LIVECODEBENCH, LEETCODE], {"Print the sum": SUM, "def total": TOTAL}),
    "code_contests": ([CODE_CONTESTS], {"Print the sum": SUM}),
    "apps": ([APPS, {**APPS, "id": 8, "input_output": ""}], {"Add.": SUM}),
    "mbppplus": ([{**MBPP, "task_id": "Mbpp/4"}], {"assert add(1, 2) == 3": ADD}),
    "humanevalplus": ([HUMANEVAL], {"Twice x": DOUBLE}),
    "a test program": ([HUB_MBPP], {"assert set([add(1, 2)])": ADD}),
}


def answer(programs):
    """Every second answer to a problem is its right program."""

    def answer_to(request):
        prompt = request["messages"][-1]["content"]
        (right,) = {program for words, program in programs.items() if words in prompt} or {""}
        program = right if request["seed"] % 2 else "def add(*a): return 'wrong'\ndef double(x): return 0\nprint(0)"
        return (
            f"<begin_of_slow_thought>\n\nhm\n\n<end_of_slow_thought>\n\n<begin_of_solution>\n\n"
            f"```python\n{program}\n```\n\n<end_of_solution>"
        )

    return answer_to


def test_a_row_whose_tests_cannot_be_read_is_named_by_the_audit_and_the_others_are_audited(tmp_path):
    bad = {**LIVECODEBENCH, "private_test_cases": "eJx!"}
    problems, mask = write(tmp_path / "problems.jsonl", bad, LIVECODEBENCH), tmp_path / "mask.json"
    result = run_in_process(audit_problems, "--problems", problems, "--output", mask, "--workers", 1)
    assert result.returncode == 1 and "the tests of row 0 of" in result.stdout, result.stderr
    assert list(json.loads(mask.read_text())["problems"]) == ["1"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_set_goes_through_every_step(kind, toy, tmp_path):
    rows, programs = KINDS[kind]
    toy.answer = answer(programs)
    problems, run, mask = write(tmp_path / "problems.jsonl", *rows), tmp_path / "run", tmp_path / "mask.json"

    def step(script, *flags, status=0):
        result = run_in_process(script, *flags)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout

    flags = ("--base_urls", toy.url, "--output_dir", run, "--num_samples", 6, "--split", "")
    said = step(single_model_inference, "--problems", problems, *flags)
    assert ("1 more have no tests and are left out" in said) == (kind == "apps")
    step(format_converter, "--input_dir", run)
    step(audit_problems, "--problems", problems, "--output", mask, "--workers", 1)
    found = {row["class"] for row in json.loads(mask.read_text())["problems"].values()}
    assert found == {"livecodebench": {"no solutions"}, "apps": {"solutions agree", "tests malformed"}}.get(
        kind, {"solutions agree"}
    )
    step(check_converted_samples, "--input_dir", run, "--workers", 1, "--timeout", 1)
    records = [json.loads(path.read_text()) for path in list_files(run, "converted").values()]
    for record in records:
        assert record["correctness"] == bool(record["generation_config"]["seed"] % 2), record
        assert record["metadata"]["task_id"] in {row.get("task_id", row.get("question_id")) for row in rows} | {
            "Mbpp/2", "1575_A. Sum", 7,
        }  # fmt: skip
        assert "input_output" not in record["metadata"]
    assert {record["correctness"] for record in records} == {True, False}
    step(convert_to_data, "--input_dirs", run, "--output_dir", tmp_path / "data", "--mask", mask, "--validation", 0,
         "--test_problems", "")  # fmt: skip
    step(pass_at_k_plot, "--input_dirs", run, "--output", tmp_path / "curve", "--mask", mask, "--ks", 1, 6,
         "--formats")  # fmt: skip
    step(view_samples, "--input_dirs", run, "--output", tmp_path / "page.html")
