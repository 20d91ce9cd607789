"""Special judges: read from their folder, asked instead of the comparison, and wrong files named in a sentence."""

import json
import pickle

import pytest
from scripts import run_in_process, write_converted

import check_converted_samples
from hindsight.errors import UserError
from SkyThought.special_judges import SpecialJudge, SpecialJudges

# Any divisor is right; the expected output is one of them.
DIVISOR = {
    "question": "A divisor.",
    "input_output": json.dumps({"inputs": ["12\n", "35\n"], "outputs": ["2\n", "5\n"]}),
}
PAIR = {
    "question": "Two numbers with this sum, in any order.",
    "input_output": json.dumps({"fn_name": "pair", "inputs": [[5], [9]], "outputs": [[2, 3], [4, 5]]}),
}
CHECK_DIVISOR = """
def check(input, expected, output):
    words = output.split()
    return len(words) == 1 and words[0].isdecimal() and int(words[0]) > 1 and int(input) % int(words[0]) == 0
"""
CHECK_PAIR = """
def check(input, expected, output):
    return isinstance(output, list) and len(output) == 2 and sum(output) == input[0] == sum(expected)
"""


@pytest.fixture
def checkers(tmp_path):
    folder = tmp_path / "checkers"
    folder.mkdir()
    (folder / "question_1.py").write_text(CHECK_DIVISOR)
    (folder / "question_2.py").write_text(CHECK_PAIR)
    return folder


def judge(folder, checkers, *flags):
    """Step 3 by a user's hand; the verdicts in the order of the files."""
    result = run_in_process(
        check_converted_samples, "--input_dir", folder, "--checkers", checkers, "--workers", 1, *flags
    )
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("converted*"))]
    return result, [(record.get("correctness"), record.get("correctness_reason")) for record in records]


def test_a_special_judge_accepts_what_the_comparison_would_not(tmp_path, checkers):
    run = tmp_path / "run"
    write_converted(run, 1, 0, "n = int(input())\nprint(n)", DIVISOR)
    write_converted(run, 1, 1, "print(1)", DIVISOR)
    write_converted(run, 1, 2, "print(1 / 0)", DIVISOR)
    write_converted(run, 2, 0, "def pair(n):\n    return [n, 0]", PAIR)
    write_converted(run, 2, 1, "def pair(n):\n    return [n, 1]", PAIR)
    write_converted(run, 3, 0, "n = int(input())\nprint(n)", DIVISOR)
    result, verdicts = judge(run, checkers)
    wrong, right = (False, "wrong answer"), (True, "")
    assert verdicts == [right, wrong, (False, "runtime error: ZeroDivisionError"), right, wrong, wrong], result.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return int('x')", "ValueError: invalid literal"),
        ("return 'yes'", "returned 'yes'"),
        ("raise SystemExit('done')", "SystemExit: done"),
    ],
)
def test_a_special_judge_that_fails_judges_nothing_and_says_why(tmp_path, checkers, body, message):
    (checkers / "question_1.py").write_text(f"def check(input, expected, output):\n    {body}\n")
    path = write_converted(tmp_path / "run", 1, 0, "print(2)", DIVISOR)
    result, verdicts = judge(tmp_path / "run", checkers)
    assert (result.returncode, verdicts[0][0]) == (1, None)
    assert verdicts[0][1].startswith("not judged: its special judge failed (")
    assert message in verdicts[0][1]
    assert message in json.loads(path.read_text())["test_results"][-1]["special_judge"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def check(", "cannot be loaded: SyntaxError"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError"),
        ("def judge(a, b, c): return True", "has no function check(input, expected, output)"),
    ],
)
def test_a_wrong_file_is_named_in_one_sentence(tmp_path, checkers, source, sentence):
    (checkers / "question_1.py").write_text(source)
    write_converted(tmp_path / "run", 1, 0, "print(2)", DIVISOR)
    result, _ = judge(tmp_path / "run", checkers)
    assert result.returncode == 2
    assert f"the special judge {checkers}/question_1.py {sentence}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_that_is_not_there_is_said_before_anything_is_recorded(tmp_path):
    write_converted(tmp_path / "run", 1, 0, "print(2)", DIVISOR)
    result, _ = judge(tmp_path / "run", tmp_path / "none")
    assert (result.returncode, "does not exist" in result.stderr) == (2, True)
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_papers_rules_know_no_special_judges(tmp_path, checkers):
    write_converted(tmp_path / "run", 1, 0, "print(2)", DIVISOR)
    result, _ = judge(tmp_path / "run", checkers, "--reference_rules")
    assert (result.returncode, "give either REFERENCE_RULES or CHECKERS" in result.stderr) == (2, True)


def test_a_problem_that_is_judged_by_a_test_program_takes_none(tmp_path, checkers):
    program = {"fn_name": "pair", "test_program": "assert pair(5) == [2, 3]"}
    write_converted(tmp_path / "run", 2, 0, "def pair(x): return [2, 3]", {**PAIR, "input_output": json.dumps(program)})
    result, verdicts = judge(tmp_path / "run", checkers)
    assert (result.returncode, verdicts) == (2, [(None, None)])
    assert "question_2.py: its problem has no expected outputs that a special judge could take" in result.stderr


def test_answers_are_judged_again_when_their_special_judge_changed_and_no_others(tmp_path, checkers):
    run = tmp_path / "run"
    write_converted(run, 1, 0, "print(1)", DIVISOR)
    untouched = write_converted(run, 2, 0, "def pair(n):\n    return [n, 0]", PAIR)
    assert judge(run, checkers)[1] == [(False, "wrong answer"), (True, "")]
    before = untouched.stat().st_mtime_ns
    (checkers / "question_1.py").write_text("def check(input, expected, output): return True")
    assert judge(run, checkers)[1] == [(True, ""), (True, "")]
    assert untouched.stat().st_mtime_ns == before
    result, _ = judge(run, "")
    assert (result.returncode, "checkers was" in result.stderr) == (2, True)
    assert judge(run, "", "--allow_other_settings")[1] == [(False, "wrong answer")] * 2


def test_files_are_read_when_they_are_asked_for_and_once(checkers):
    judges = SpecialJudges(str(checkers))
    (checkers / "question_2.py").write_text("def check(")
    first = judges.of(1)
    (checkers / "question_1.py").unlink()
    assert judges.of(1) is first
    assert (judges.of(7), judges.digest(7)) == (None, None)
    with pytest.raises(UserError, match=r"question_2\.py"):
        judges.of(2)


def test_a_special_judge_goes_to_another_machine_as_its_source():
    judge = pickle.loads(pickle.dumps(SpecialJudge("checkers/question_1.py", CHECK_DIVISOR)))
    assert (judge("12", "2", "3"), judge("12", "2", "5")) == (True, False)


def test_without_a_folder_there_are_none():
    assert SpecialJudges("").of(1) is None
