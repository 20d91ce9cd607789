"""The published list of TACO's special judges: whose problems its rules concern, and what the rules change."""

import json

import pytest
from scripts import run_in_process

from hindsight.files.masks import read_mask
from hindsight.problem_sets import sources
from SkyThought import audit_problems
from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler
from SkyThought.taco_special_judges import ANY_CASE, SEVERAL, TOLERANCE, is_listed, with_listed_rule

TESTS = make_tests({"inputs": ["1"], "outputs": ["Yes 3"]})


def origin(row, dataset="BAAI/TACO", split="test"):
    return {"dataset": dataset, "split": split, "revision": "abc", "row": row}


def test_rows_are_listed_for_the_test_split_of_the_data_set_of_that_name_alone():
    assert is_listed(origin(5), SEVERAL)
    assert not is_listed(origin(6), SEVERAL)
    assert is_listed(origin(20), ANY_CASE)
    assert is_listed(origin(18), TOLERANCE)
    for other in (
        origin(5, split="train"),
        origin(5, split=""),
        origin(5, dataset="me/TACO"),
        origin([5]),
        origin("5"),
        {},
        None,
    ):
        assert not is_listed(other, SEVERAL)


@pytest.mark.parametrize(("row", "any_case", "real"), [(20, True, False), (18, False, True), (5, False, False)])
def test_each_class_has_its_rule(row, any_case, real):
    tests = with_listed_rule(TESTS, origin(row))
    assert (tests.any_case, tests.real) == (any_case, real)
    assert with_listed_rule(TESTS, origin(row, split="train")) == TESTS


def test_where_case_does_not_matter_it_does_not_and_elsewhere_it_does():
    with TACOTaskHandler(timeout=1.0) as judge:
        program = "print('YES', 3)"
        assert judge.judge(program, TESTS)["reason"] == "wrong answer"
        assert judge.judge(program, with_listed_rule(TESTS, origin(20)))["reason"] == ""
        assert judge.judge("print('YES', 4)", with_listed_rule(TESTS, origin(20)))["reason"] == "wrong answer"
        assert judge.judge("print('Yes', 3.0)", with_listed_rule(TESTS, origin(18)))["reason"] == ""


def test_the_audit_leaves_out_problems_with_several_answers_unless_they_have_a_judge(tmp_path, monkeypatch):
    row = {"question": "?", "solutions": ["print(input())"], "input_output": {"inputs": ["1"], "outputs": ["1"]}}
    rows = [dict(row) for _ in range(12)]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(sources, "hub_files", lambda name, patterns, revision: ([tmp_path / "test.jsonl"], "abc"))
    (tmp_path / "question_10.py").write_text("def check(input, expected, output): return True")
    flags = ("--problems", "BAAI/TACO", "--output", tmp_path / "mask.json", "--workers", 1)
    result = run_in_process(audit_problems, *flags, "--split", "test", "--checkers", tmp_path)
    assert result.returncode == 0, result.stderr
    assert read_mask(str(tmp_path / "mask.json")).reasons == {5: "several answers"}
    assert "     1  several answers     left out" in result.stdout
