"""Step 3 as a user runs it: verdicts written into the files, both names of the script, resuming, bad input."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import hostile_programs
import pytest
from scripts import ROOT, run_in_process, run_script, write_converted

import check_converted_samples
from hindsight.files.answer_files import list_files
from hindsight.files.runs import read_run
from hindsight.problem_sets.selection import load_problems

pytestmark = pytest.mark.slow  # together they take over ten seconds

SCRIPT = "check_converted_samples.py"
ECHO = {"question": "Echo.", "input_output": json.dumps({"inputs": ["a b\n", "c\n"], "outputs": ["a b\n", "c\n"]})}
DOUBLE = {
    "question": "Double.",
    "input_output": json.dumps({"fn_name": "double", "inputs": [[2], [0]], "outputs": [4, 0]}),
}


def verdicts(folder):
    records = [json.loads(path.read_text()) for path in list_files(folder, "converted").values()]
    return [(record["correctness"], record["correctness_reason"]) for record in records]


def judge(folder, *flags):
    """Runs the script in this process, with one judge."""
    return run_in_process(check_converted_samples, "--input_dir", folder, "--workers", 1, *flags)


@pytest.mark.parametrize("script", [SCRIPT, "SkyThought/check_converted_samples.py"])
def test_verdicts_are_written_into_the_files_by_either_name_of_the_script(tmp_path, script):
    programs = [
        (ECHO, "print(input())", (True, "")),
        (ECHO, "print('a b')", (False, "wrong answer")),
        (ECHO, "print(input(", (False, "syntax error")),
        (ECHO, "raise ValueError", (False, "runtime error: ValueError")),
        (ECHO, "while True: pass", (False, "time limit")),
        (DOUBLE, "def double(n):\n    return 2 * n", (True, "")),
        (DOUBLE, "class Solution:\n    def double(self, n):\n        return n + n", (True, "")),
        (DOUBLE, "def double(n):\n    return n * n", (True, "")),
        (DOUBLE, "def triple(n):\n    return 3 * n", (False, "missing function")),
        ({"question": "?", "input_output": "{}"}, "print(1)", (None, "not judged: its problem has no tests")),
    ]
    for number, (problem, program, _) in enumerate(programs):
        write_converted(tmp_path, number, 0, program, problem)
    result = run_script(script, "--input_dir", tmp_path, "--timeout", 0.5)
    assert verdicts(tmp_path) == [verdict for _, _, verdict in programs]
    assert result.returncode == 1, "one was not judged"
    assert "4 of 9 correct" in result.stdout
    assert "     1  not judged: its problem has no tests" in result.stdout
    steps = read_run(tmp_path)["steps"]
    assert steps[SCRIPT]["verdicts"]["correct"] == 4


def test_the_first_failing_test_is_told(tmp_path):
    path = write_converted(tmp_path, 0, 0, "print('a b')", ECHO)
    judge(tmp_path)
    passed, failed = json.loads(path.read_text())["test_results"]
    assert (passed["passed"], failed["passed"]) == (True, False)
    assert (failed["input"], failed["expected"], failed["output"]) == ("c\n", "c\n", "a b\n")


def test_the_tests_are_found_where_the_answer_came_from(tmp_path):
    problem = load_problems("lab", "test")[0]
    metadata = {key: value for key, value in problem.items() if key not in ("input_output", "solutions")}
    write_converted(tmp_path, problem["question_id"], 0, json.loads(problem["solutions"])[0], metadata)
    write_converted(tmp_path, problem["question_id"], 1, "print()", metadata)
    assert judge(tmp_path).returncode == 0
    assert [correct for correct, _ in verdicts(tmp_path)] == [True, False]


def test_a_verdict_that_is_none_is_made_again(tmp_path):
    path = write_converted(tmp_path, 0, 0, "print('wrong')", ECHO)
    path.write_text(json.dumps({**json.loads(path.read_text()), "correctness": "yes"}))
    assert judge(tmp_path).returncode == 0
    assert verdicts(tmp_path) == [(False, "wrong answer")]


def test_judged_files_are_left_alone_and_other_limits_are_refused(tmp_path):
    path = write_converted(tmp_path, 0, 0, "print(input())", ECHO)
    judge(tmp_path)
    before = path.stat().st_mtime_ns
    assert judge(tmp_path).returncode == 0
    assert path.stat().st_mtime_ns == before
    result = judge(tmp_path, "--timeout", 9)
    assert (result.returncode, "timeout was 4.0, is 9.0" in result.stderr) == (2, True)


def test_a_broken_file_among_good_ones_is_named_and_the_others_judged(tmp_path):
    for number in range(3):
        write_converted(tmp_path, number, 0, "print(input())", ECHO)
    (tmp_path / "converted_question_1_sample_0.json").write_text("{")
    (tmp_path / "converted_question_3_sample_0.json").mkdir()
    (tmp_path / "converted_question_4_sample_0.json").symlink_to("nowhere")
    result = judge(tmp_path)
    assert (result.returncode, "2 of 2 correct" in result.stdout) == (1, True)
    assert "converted_question_1_sample_0.json is not valid JSON" in result.stdout
    assert "converted_question_3_sample_0.json cannot be read (Is a directory)" in result.stdout
    assert "converted_question_4_sample_0.json cannot be read (No such file or directory)" in result.stdout


BAD_RECORDS = [
    ({"metadata": None}, "its metadata is of type NoneType, expected dict"),
    ({"metadata": "a problem"}, "its metadata is of type str, expected dict"),
    ({"metadata": {}}, "names no problem set and has no tests inside"),
    ({"metadata": {"input_output": None, "origin": "lab"}}, "names no problem set"),
    ({"metadata": {"origin": {"dataset": "gone.jsonl", "split": "", "row": 0}}}, "there is no problem file gone.jsonl"),
    ({"metadata": {"origin": {"dataset": "lab", "split": "", "row": 10**6}}}, "lab has no row 1000000"),
    ({"metadata": {"origin": {"dataset": "lab", "split": "", "row": 0, "revision": [1]}}}, "names no problem set"),
    ({"metadata": {"origin": {"dataset": "lab", "split": 5, "row": 0}}}, "names no problem set"),
    ({"converted_text": ["a", "b"]}, "its converted_text is of type list, expected str"),
    ({"question_id": "one"}, "its question_id is of type str, expected int"),
    ({"converted_text": ...}, "lacks converted_text"),
]


def test_bad_records_among_good_ones_are_named_and_skipped(tmp_path):
    paths = [write_converted(tmp_path, number, 0, "print(input())", ECHO) for number in range(len(BAD_RECORDS) + 2)]
    for path, (change, _) in zip(paths[1:], BAD_RECORDS, strict=False):
        record = {**json.loads(path.read_text()), **change}
        path.write_text(json.dumps({key: value for key, value in record.items() if value is not ...}))
    result = judge(tmp_path)
    assert (result.returncode, result.stderr.count("Traceback")) == (1, 0), result.stderr
    assert "2 of 2 correct" in result.stdout
    for path, (_, sentence) in zip(paths[1:], BAD_RECORDS, strict=False):
        (named,) = [line for line in result.stdout.splitlines() if str(path) in line]
        assert sentence in named
    written = [json.loads(path.read_text()).get("correctness") for path in paths]
    assert written == [True, *[None] * len(BAD_RECORDS), True]


@pytest.mark.parametrize("metadata", [{}, {"origin": {"dataset": "gone.jsonl", "split": "", "row": 0, "digest": "x"}}])
def test_missing_tests_end_in_one_sentence(tmp_path, metadata):
    write_converted(tmp_path, 0, 0, "print(1)", metadata)
    result = judge(tmp_path)
    assert (result.returncode, len(result.stderr.strip().splitlines()[-1:])) == (2, 1)
    assert "question 0 names no problem set" in result.stderr or "no problem file gone.jsonl" in result.stderr


def test_a_folder_without_samples_ends_in_one_sentence(tmp_path):
    result = judge(tmp_path)
    assert (result.returncode, "has no converted files; run format_converter.py" in result.stderr) == (2, True)


def test_identical_programs_on_one_problem_are_judged_once(tmp_path):
    """A program that answers by chance would otherwise hardly get one verdict in twelve files."""
    chance = "import os\nprint(input() if os.urandom(1)[0] % 2 else 'wrong')"
    for sample in range(12):
        write_converted(tmp_path, 0, sample, chance, ECHO)
    write_converted(tmp_path, 1, 0, chance, {"input_output": json.dumps({"inputs": ["a\n"], "outputs": ["wrong\n"]})})
    result = run_in_process(check_converted_samples, "--input_dir", tmp_path, "--workers", 2)
    assert result.returncode == 0, result.stderr
    assert len(set(verdicts(tmp_path)[:12])) == 1
    assert "11 answers had the same program as another answer, which was judged once" in result.stdout


def test_the_script_says_in_one_line_what_contains_the_programs(tmp_path):
    write_converted(tmp_path, 0, 0, "print(input())", ECHO)
    lines = judge(tmp_path, "--sandbox", "landlock", "seccomp").stdout.splitlines()
    assert [line for line in lines if "Landlock" in line and "seccomp" in line] == lines[:1]
    assert "no namespaces" in lines[0]


def test_without_a_layer_nothing_is_run_unless_told_to(tmp_path):
    path = write_converted(tmp_path, 0, 0, "print(input())", ECHO)
    before = path.read_bytes()
    result = judge(tmp_path, "--sandbox")
    assert (result.returncode, path.read_bytes() == before) == (2, True)
    assert "--unsafe" in result.stderr
    assert "Traceback" not in result.stderr
    assert judge(tmp_path, "--sandbox", "--unsafe").returncode == 0
    assert verdicts(tmp_path) == [(True, "")]


def test_the_papers_rules_give_other_verdicts_and_do_not_mix_with_ours(tmp_path):
    write_converted(tmp_path / "ours", 0, 0, "print(input(", ECHO)
    write_converted(tmp_path / "reference", 0, 0, "print(input(", ECHO)
    judge(tmp_path / "ours")
    judge(tmp_path / "reference", "--reference_rules")
    assert verdicts(tmp_path / "ours") == [(False, "syntax error")]
    assert verdicts(tmp_path / "reference") == [(True, "")]
    result = judge(tmp_path / "ours", "--reference_rules")
    assert (result.returncode, "reference_rules was False, is True" in result.stderr) == (2, True)


def test_ctrl_c_stops_running_programs_and_leaves_no_process(tmp_path):
    for number in range(6):
        write_converted(tmp_path, number, 0, f"while {number + 1}: pass" if number else "print(input())", ECHO)
    command = [sys.executable, ROOT / SCRIPT, "--input_dir", tmp_path, "--timeout", "300", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    started = []
    while not verdicts_so_far(tmp_path) or len(started) < 4:  # of each worker a shell and its warm process
        time.sleep(0.05)
        started = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130, "it would otherwise run for 300 seconds"
    assert "run again to resume" in process.stderr.read()
    deadline = time.monotonic() + 60
    while any(is_alive(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if is_alive(pid)]


def verdicts_so_far(folder):
    return sum('"correctness"' in path.read_text() for path in folder.glob("converted*.json"))


def descendants(pid):
    """The processes beneath a process, by (pid, start time), as a pid alone may come again."""
    return [(child, start_time(child)) for child in hostile_programs.descendants(pid)]


def start_time(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def is_alive(process):
    pid, started = process
    return started is not None and start_time(pid) == started
