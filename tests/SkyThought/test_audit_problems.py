"""The audit as a user runs it: the class of each problem, the mask, going on after a kill, what is refused."""

import json
import signal
import subprocess
import sys
import time

import pytest
from scripts import ROOT, TACO_REAL, run_in_process

from hindsight.files.masks import read_mask
from SkyThought import audit_problems
from SkyThought.audit_problems import classify, solutions

pytestmark = pytest.mark.slow  # together they take over ten seconds

SCRIPT = "SkyThought/audit_problems.py"
CRASHES = 716  # a real problem with a traceback as an expected output
RIGHT, SAME = "print(int(input()) * 2)", "n = int(input())\nprint(n + n)"
OTHER, ANOTHER = "print(int(input()) * 3)", "print('many')"
BROKEN, CRASHING = "print 2 * raw_input()", "raise KeyError(input())"
TESTS = {"inputs": ["1\n", "2\n"], "outputs": ["2\n", "4\n"]}


def problem(number, programs, tests=TESTS, **more):
    row = {"task_id": number, "question": "?", "difficulty": "EASY", "solutions": json.dumps(programs), **more}
    return {**row, "input_output": tests if isinstance(tests, str) else json.dumps(tests)}


PROBLEMS = {
    "solutions agree": problem(10, [RIGHT, SAME, BROKEN, CRASHING, RIGHT]),
    "no solution passes": problem(11, [OTHER, BROKEN]),
    "solutions disagree": problem(12, [RIGHT, SAME, OTHER, ANOTHER]),
    "tests malformed": problem(13, [RIGHT], {"inputs": ["1\n"], "outputs": []}),
    "no solutions": problem(14, []),
}


def write_problems(folder, problems):
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in problems))
    return path


def audit(folder, *flags, problems=None):
    problems = problems or write_problems(folder, PROBLEMS.values())
    files = ["--problems", problems, "--output", folder / "mask.json"]
    result = run_in_process(audit_problems, *files, "--workers", 1, *flags)
    path = folder / "mask.json"
    return result, json.loads(path.read_text()) if path.exists() else None


def test_each_problem_gets_its_class_and_the_mask_is_one_that_the_steps_take(tmp_path):
    result, mask = audit(tmp_path)
    assert result.returncode == 0, result.stderr
    assert {entry["class"]: int(question) for question, entry in mask["problems"].items()} == {
        name: row["task_id"] for name, row in PROBLEMS.items()
    }
    assert mask["problems"]["10"]["verdicts"] == {"correct": 2, "syntax error": 1, "runtime error: KeyError": 1}
    assert mask["problems"]["12"]["verdicts"] == {"correct": 2, "wrong answer": 2}
    assert read_mask(str(tmp_path / "mask.json")).reasons.keys() == {11, 12, 13}
    assert mask["origin"]["digest"].startswith("sha256:")
    assert "     1  solutions disagree  left out" in result.stdout
    assert not list(tmp_path.glob("*.part"))


def test_a_special_judge_makes_a_problem_sound_and_its_problem_alone_is_audited_again(tmp_path):
    audit(tmp_path)
    checkers = tmp_path / "checkers"
    checkers.mkdir()
    (checkers / "question_12.py").write_text("def check(input, expected, output): return True")
    result, mask = audit(tmp_path, "--checkers", checkers)
    assert result.returncode == 0, result.stderr
    assert (mask["problems"]["12"]["class"], mask["counts"]["solutions agree"]) == ("solutions agree", 2)
    assert "1/1" in result.stderr
    assert audit(tmp_path)[1]["problems"]["12"]["class"] == "solutions disagree"


def test_another_share_reads_the_same_verdicts_anew(tmp_path):
    audit(tmp_path)
    result, mask = audit(tmp_path, "--wrong_share", 0.6)
    assert mask["problems"]["12"]["class"] == "solutions agree"
    assert "problem/s" not in result.stderr, "nothing was judged"


def test_killed_at_any_moment_it_goes_on_and_nothing_is_judged_twice(tmp_path):
    slow = "import time\ntime.sleep(0.03)\n"
    rows = [problem(number, [slow + RIGHT, slow + SAME] if number % 2 else [OTHER, slow]) for number in range(40)]
    command = [sys.executable, ROOT / SCRIPT, "--problems", write_problems(tmp_path, rows)]
    command += ["--output", tmp_path / "mask.json", "--workers", "2"]
    journal, known = tmp_path / "mask.json.part", 0
    for kill in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not journal.exists() or len(journal.read_text().splitlines()) < known + 4):
            time.sleep(0.01)
        process.send_signal(kill)
        process.wait()
        lines = journal.read_text().splitlines()
        assert len(lines) >= known + 4
        known = len(lines)
    with journal.open("a") as file:
        file.write('[3, {"tes')  # what a full disk may leave
    result, mask = audit(tmp_path, problems=tmp_path / "problems.jsonl")
    assert result.returncode == 0, result.stderr
    assert f"/{40 - (known - 1)} " in result.stderr
    classes = [mask["problems"][str(number)]["class"] for number in range(40)]
    assert classes == ["no solution passes", "solutions agree"] * 20


def test_a_problem_that_could_not_be_judged_is_not_in_the_mask_and_tried_again(tmp_path):
    checkers = tmp_path / "checkers"
    checkers.mkdir()
    (checkers / "question_10.py").write_text("def check(input, expected, output): return 1 / 0")
    result, mask = audit(tmp_path, "--checkers", checkers)
    assert (result.returncode, "10" in mask["problems"], len(mask["problems"])) == (1, False, 4)
    assert "1 problems could not be judged" in result.stdout
    (checkers / "question_10.py").unlink()
    assert audit(tmp_path, "--checkers", checkers)[1]["counts"]["solutions agree"] == 1


def test_a_problem_whose_test_program_tests_nothing_has_malformed_tests(tmp_path):
    programs = ["def double(x): return 2 * x", "def double(x): return x + x"]
    test = "def check(candidate):\n assert candidate(2) == 4"
    rows = [
        problem(number, programs, {"fn_name": "double", "test_program": test + end})
        for number, end in enumerate(["", "\ncheck(double)"])
    ]
    result, mask = audit(tmp_path, problems=write_problems(tmp_path, rows))
    assert result.returncode == 0, result.stdout
    assert [mask["problems"][each]["class"] for each in "01"] == ["tests malformed", "solutions agree"]


def test_another_problem_set_or_other_limits_into_the_same_file_are_refused(tmp_path):
    audit(tmp_path)
    for flags, sentence in ((["--timeout", 2], "timeout was 4.0, is 2.0"), (["--problems", "lab"], "problem set was")):
        result, _ = audit(tmp_path, *flags)
        assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr


def test_a_problem_with_senseless_solutions_among_good_ones_is_named_and_skipped(tmp_path):
    senseless = ["[", '"print()"', {"a": "print()"}, 5]
    rows = [
        problem(number, []) | {"solutions": given} for number, given in enumerate([*senseless, [RIGHT], "null", None])
    ]
    result, mask = audit(tmp_path, problems=write_problems(tmp_path, rows))
    assert (result.returncode, "Traceback" in result.stderr) == (1, False), result.stderr
    assert {int(number): entry["class"] for number, entry in mask["problems"].items()} == {
        4: "solutions agree", 5: "no solutions", 6: "no solutions",
    }  # fmt: skip
    for number in range(4):
        assert f"the solutions of question {number} are not " in result.stdout


def test_bad_input_is_one_sentence(tmp_path):
    wrong = write_problems(tmp_path, [problem(1, []) | {"solutions": "["}])
    (tmp_path / "broken.json").write_text("{")
    for flags, sentence in (
        (["--output", tmp_path / "broken.json"], "is not valid JSON"),
        (["--wrong_share", 0], "WRONG_SHARE is above 0"),
        (["--problems", tmp_path / "none.jsonl"], "there is no problem file"),
        ([], "solutions of question 1 are not JSON"),
    ):
        result, _ = audit(tmp_path, *flags, problems=wrong)
        assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr


def test_the_choice_of_solutions_is_seeded_and_without_repetitions():
    row = {"question_id": 3, "solutions": [str(number // 2) for number in range(40)]}
    chosen = solutions(row, 5, 0)
    assert len(set(chosen)) == 5
    assert solutions(row, 5, 0) == chosen
    assert solutions(row, 5, 1) != chosen
    assert sorted(map(int, solutions(row, 0, 0))) == list(range(20))


@pytest.mark.parametrize(
    ("verdicts", "share", "expected"),
    [
        ({"correct": 8, "wrong answer": 2}, 0.2, "solutions disagree"),
        ({"correct": 9, "wrong answer": 2}, 0.2, "solutions agree"),
        ({"correct": 8, "wrong answer": 1, "time limit": 9}, 0.2, "solutions agree"),
        ({"correct": 1, "syntax error": 9}, 0.2, "solutions agree"),
        ({"wrong answer": 1, "syntax error": 9}, 0.2, "no solution passes"),
    ],
)
def test_solutions_disagree_by_the_share_of_wrong_answers_among_those_that_give_one(verdicts, share, expected):
    entry = {"tests": 3, "solutions": sum(verdicts.values()), "verdicts": verdicts}
    assert classify(entry, share) == expected


@pytest.mark.skipif(not TACO_REAL.is_dir(), reason="the real problems are not beside this clone")
def test_of_real_problems_the_one_with_a_senseless_test_is_found(tmp_path):
    rows = map(json.loads, (TACO_REAL / "stdin_problems.jsonl").read_text().splitlines())
    some = [row for number, row in enumerate(rows) if number % 12 == 0 or row["task_id"] == CRASHES]
    _, mask = audit(tmp_path, problems=write_problems(tmp_path, some))
    assert len(mask["problems"]) == len(some)
    assert read_mask(str(tmp_path / "mask.json")).reasons == {CRASHES: "no solution passes"}
