"""evaluate_samples.py on a set of two tasks in evalplus's format: its result file, and what it refuses."""

import json

import pytest
from scripts import run_in_process

from SkyThought import evaluate_samples

DOUBLE = {
    "task_id": "HumanEval/0",
    "prompt": 'def double(x):\n    """Twice x."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    "contract": "",
    "base_input": [[1], [0]],
    "atol": 0,
    "plus_input": [[-1], [0.5]],
}
SMALLER = DOUBLE | {
    "task_id": "HumanEval/1",
    "prompt": "def smaller(a, b):\n",
    "entry_point": "smaller",
    "canonical_solution": "    return min(a, b)\n",
    "base_input": [[1, 2]],
    "plus_input": [[2, 1], [1, 1]],
}
RIGHT = [
    {"task_id": "HumanEval/0", "completion": "    return x + x\n"},
    {"task_id": "HumanEval/1", "solution": "smaller = min"},
]


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    problems = tmp_path / "set.jsonl"
    problems.write_text("\n".join(map(json.dumps, (DOUBLE, SMALLER))))

    def run(samples, *flags):
        path = tmp_path / "samples.jsonl"
        if isinstance(samples, list):
            path.write_text("\n".join(map(json.dumps, samples)))
        given = path if isinstance(samples, list) else samples
        flags = ["--problems_file", problems, "--samples", given, "--workers", "1", *flags]
        result = run_in_process(evaluate_samples, "--problems", "humanevalplus", *flags)
        output = tmp_path / "samples_eval_results.json" if given.suffix else given / "eval_results.json"
        return result, json.loads(output.read_text())["eval"] if output.exists() else None

    return run


def test_both_statuses_of_every_sample_are_written_as_evalplus_does(evaluate):
    samples = [*RIGHT, {"task_id": "HumanEval/0", "solution": "def double(x): return abs(x) * 2"}]
    result, found = evaluate([*samples, {"task_id": "HumanEval/1", "solution": "def smaller(a, b): return b"}])
    assert result.returncode == 0, result.stderr
    one, other = found["HumanEval/0"]
    assert one == {
        "task_id": "HumanEval/0",
        "solution": DOUBLE["prompt"] + "    return x + x\n",
        "base_status": "pass",
        "plus_status": "pass",
        "base_fail_tests": [],
        "plus_fail_tests": [],
    }
    assert (other["base_status"], other["plus_status"], other["plus_fail_tests"]) == ("pass", "fail", [[-1]])
    assert [(each["base_status"], each["plus_status"]) for each in found["HumanEval/1"]] == [
        ("pass", "pass"),
        ("fail", "pass"),
    ]
    assert found["HumanEval/1"][1]["base_fail_tests"] == [[1, 2]]
    assert "pass@1:\t0.750" in result.stdout and "pass@1:\t0.500" in result.stdout


def test_base_tests_alone_leave_plus_empty(evaluate):
    result, found = evaluate(RIGHT, "--problems", "humaneval")
    assert result.returncode == 0 and found["HumanEval/0"][0]["plus_status"] is None
    assert "extra tests" not in result.stdout


def test_a_folder_of_programs_is_read(evaluate, tmp_path):
    for task, number, text in ((0, 10, "double = 1"), (0, 2, "def double(x): return 2 * x"), (1, 0, "smaller = min")):
        path = tmp_path / "programs" / f"HumanEval_{task}" / f"{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result, found = evaluate(tmp_path / "programs")
    assert result.returncode == 0, result.stderr
    assert [each["base_status"] for each in found["HumanEval/0"]] == ["pass", "fail"]


def test_a_killed_run_resumes(evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_samples, "write_json", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(RIGHT)
    monkeypatch.undo()
    monkeypatch.setattr(evaluate_samples, "judge_all", lambda judges, programs: [1 / 0 for _ in programs])
    result, found = evaluate(RIGHT)
    assert result.returncode == 0 and found["HumanEval/1"][0]["plus_status"] == "pass"
    names = sorted(path.name for path in tmp_path.glob("samples*"))
    assert names == ["samples.jsonl", "samples_eval_results.json"]


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (RIGHT[:1], "1 tasks have no sample: HumanEval/1; to ignore them, give --leave_out true"),
        ([*RIGHT, {"task_id": "Mbpp/2", "solution": ""}], "1 samples are of tasks that the set lacks: Mbpp/2"),
        ([{"task_id": "HumanEval/0"}], "is not a sample: it needs a task_id and a solution or a completion"),
        ([{"task_id": "HumanEval/0", "solution": ["a"]}], "is not a sample"),
        ([], "holds no sample"),
    ],
)
def test_bad_samples_are_one_sentence(evaluate, samples, sentence):
    result, found = evaluate(samples)
    assert result.returncode == 2 and sentence in result.stderr and found is None
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_is_missing_is_left_out_only_when_told(evaluate):
    result, found = evaluate([*RIGHT[:1], {"task_id": "Mbpp/2", "solution": ""}], "--leave_out", "true")
    assert result.returncode == 0 and list(found) == ["HumanEval/0"]
    assert "1 tasks have no sample: HumanEval/1" in result.stdout
