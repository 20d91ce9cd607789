"""Verdicts on the programs of tests/data/judge_problems.jsonl, by our own rules and by the paper's.

Each row is a problem in TACO's schema, perhaps with the source of a `special_judge`, and `programs`: each with its
`verdict` and with `reference`, whether the paper's checker counts it as correct (null: its rules do not apply).
"""

import json

import pytest
from judging import answer
from scripts import ROOT

from SkyThought.problem_tests import read_tests
from SkyThought.special_judges import SpecialJudge
from SkyThought.taco import TACOTaskHandler

ROWS = [json.loads(line) for line in (ROOT / "tests" / "data" / "judge_problems.jsonl").read_text().splitlines()]
# Programs that use up their time are judged by the slow tests.
PARAMETERS = [
    pytest.param(row, marks=[pytest.mark.slow] * ("time limit" in {each["verdict"] for each in row["programs"]}))
    for row in ROWS
]
LIMITS = {"timeout": 0.5, "memory_mb": 2048}


def name(row):
    return f"problem {row['task_id']}"


@pytest.fixture(scope="module")
def judge():
    with TACOTaskHandler(**LIMITS) as handler:
        yield handler


@pytest.fixture(scope="module")
def reference_judge():
    with TACOTaskHandler(**LIMITS, reference_rules=True) as handler:
        yield handler


@pytest.mark.parametrize("row", PARAMETERS, ids=name)
def test_every_program_gets_its_verdict(judge, row):
    special_judge = SpecialJudge("special judge", row["special_judge"]) if "special_judge" in row else None
    tests = read_tests(row["input_output"])
    for program in row["programs"]:
        verdict = judge.judge(program["program"], tests, special_judge)
        assert (verdict["reason"] or "correct") == program["verdict"], program["program"]


@pytest.mark.parametrize("row", [each for each in PARAMETERS if "special_judge" not in each.values[0]], ids=name)
def test_the_papers_rules_count_every_program_as_the_papers_checker_does(reference_judge, row):
    for program in row["programs"]:
        if program["reference"] is not None:
            verdict = reference_judge.update_results(row, answer(program["program"]))
            assert verdict["correctness"] is program["reference"], program["program"]


def test_the_problems_cover_every_kind_of_verdict_and_test():
    verdicts = {program["verdict"].split(":")[0] for row in ROWS for program in row["programs"]}
    assert verdicts >= {"correct", "wrong answer", "syntax error", "runtime error", "time limit", "memory limit"}
    assert verdicts >= {"output limit", "missing function", "no code", "not judged"}
    assert {bool(json.loads(row["input_output"]).get("fn_name")) for row in ROWS} == {True, False}
    assert len(ROWS) >= 20
