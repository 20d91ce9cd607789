"""Verdicts on programs that were reported from the field: `programs.jsonl` of ../shared/field_cases."""

import json

import pytest
from scripts import TACO_REAL

from hindsight.text.uniform_format import render
from SkyThought.taco import TACOTaskHandler

FILE = TACO_REAL.parent / "field_cases" / "programs.jsonl"
CASES = [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.is_file() else []


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler() as handler:
        yield handler


@pytest.mark.skipif(not CASES, reason=f"the cases are not beside this clone: {FILE}")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_case_gets_its_right_verdict(judge, case):
    solution = case["text"] if "```" in case["text"] else f"```python\n{case['text']}\n```"
    verdict = judge.update_results({"input_output": case["input_output"]}, render("Let me think.", solution))
    assert verdict["correctness"] is case["right"], (case["why"], verdict["reason"])
