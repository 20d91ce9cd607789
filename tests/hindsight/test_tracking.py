"""The tracker: what is written to trackio is read back with its own command, where the package is installed."""

import json
import os
import subprocess
import sys

import pytest
from scripts import ROOT, run_in_process, write_converted

from hindsight import progress
from hindsight.files.answer_files import sample_path
from hindsight.files.run_progress import RunWatch
from hindsight.tracking import dataset_summaries, run_summary

TIMES = {"started": "2023-11-14T22:13:20+00:00", "resumed": "2023-11-14T22:14:00+00:00"}
STEP = {"settings": {"input_dir": "moved"}, **TIMES}  # the run folder was moved since
ENDED = {**STEP, "ended": "2023-11-14T22:14:30+00:00"}
STEPS = {"format_converter.py": ENDED, "check_converted_samples.py": ENDED}
RUN = {
    "script": "single_model_inference.py", "settings": {"num_samples": 2, "seed": 7}, "models": ["lab-instruct"],
    "problems": {"dataset": "lab", "question_ids": [3, 4]}, "failed": {}, "seconds": 12.5, **TIMES, "steps": STEPS,
}  # fmt: skip
CORRECT = {(3, 0): True, (3, 1): False, (4, 0): True}  # the fourth answer was not converted: wrong


@pytest.fixture
def runs(tmp_path):
    """A run of two problems and two answers each, and a dataset beside it."""
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    for question in (3, 4):
        for index in range(2):
            content = {"generated_text": "", "usage": {"completion_tokens": 5}}
            sample_path(folder, question, index).write_text(json.dumps(content))
    for key, correct in CORRECT.items():
        reason = "" if correct else "wrong answer"
        usage = {"completion_tokens": 5}
        write_converted(folder, *key, "", {}, correctness=correct, correctness_reason=reason, usage=usage)
    (folder / "run.json").write_text(json.dumps(RUN))
    data = tmp_path / "runs" / "data"
    data.mkdir()
    files = {"train": {"name": "my.json", "rows": 3, "problems": 2}}
    report = {"settings": {"seed": 1}, "files": files, "counts": {"incorrect": [4, 5], "row of the dataset": [1, 2]}}
    (data / "my.report.json").write_text(json.dumps(report))
    return tmp_path / "runs"


def test_the_summary_of_a_run_has_each_steps_counts_and_seconds_and_pass_at_k(runs):
    settings, numbers = run_summary(runs / "a", RunWatch(runs / "a").look())
    assert (settings["models"], settings["problem_set"], settings["seed"]) == ("lab-instruct", "lab", 7)
    assert numbers.pop("sampling/answers_per_second", 1) and numbers.pop("sampling/tokens_per_second", 1)
    assert numbers == {
        "sampling/answers": 4, "sampling/missing": 0, "sampling/failed": 0, "sampling/completion_tokens": 20,
        "sampling/seconds": 12.5, "conversion/converted": 3, "conversion/no_answer": 0, "conversion/seconds": 30,
        "judging/checked": 3, "judging/correct": 2, "judging/wrong answer": 1, "judging/seconds": 30,
        "pass@k/1": 0.5, "pass@k/2": 1.0,  # each problem has one right answer of two
    }  # fmt: skip


@pytest.mark.parametrize("unfinished", STEPS)
def test_a_run_that_is_not_judged_to_its_end_has_no_pass_at_k_and_no_seconds(runs, unfinished):
    steps = {**STEPS, unfinished: {**STEP, "ended": None}}
    (runs / "a" / "run.json").write_text(json.dumps({**RUN, "failed": None, "steps": steps}))
    numbers = run_summary(runs / "a", RunWatch(runs / "a").look())[1]
    assert not [name for name in numbers if name.startswith("pass@k")] and "sampling/failed" not in numbers
    assert len([name for name in numbers if name.endswith("/seconds")]) == 2


def test_the_summary_of_a_dataset(runs):
    ((name, (settings, numbers)),) = dataset_summaries(runs / "data")
    assert (name, settings) == (str(runs / "data" / "my"), {"seed": 1})
    assert numbers == {
        "curation/incorrect": 9, "curation/row of the dataset": 3, "curation/train rows": 3,
        "curation/train problems": 2,
    }  # fmt: skip


def test_without_the_package_one_sentence_says_what_to_install(runs, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run_in_process(progress, "--runs", runs, "--report_to", "trackio")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "progress.py: REPORT_TO trackio needs the package: pip install trackio\n"
    result = run_in_process(progress, "--runs", runs, "--report_to", "wandb")
    assert (result.returncode, "REPORT_TO is trackio or empty, not 'wandb'" in result.stderr) == (2, True)


@pytest.mark.slow
def test_trackio_reads_back_what_was_reported(runs, tmp_path):
    pytest.importorskip("trackio")
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}

    def run(*words):
        command = [sys.executable, "-m", *map(str, words)]
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    for _ in range(2):  # two reports: two points of the same run
        output = run("hindsight.progress", runs, "--json", "--report_to", "trackio", "--project", "ours")
        assert [json.loads(line)["run"] for line in output.splitlines()] == [str(runs / "a")]
    named = ("--project", "ours", "--run", runs / "a", "--json")
    found = json.loads(run("trackio.cli", "get", "run", *named))
    assert (found["num_logs"], found["config"]["num_samples"]) == (2, 2)
    points = json.loads(run("trackio.cli", "get", "metric", *named, "--metric", "pass@k/1"))["values"]
    assert [(point["step"], point["value"]) for point in points] == [(0, 0.5), (1, 0.5)]
    rows = json.loads(
        run("trackio.cli", "get", "metric", "--project", "ours", "--run", runs / "data" / "my", "--json", "--metric",
            "curation/train rows")
    )  # fmt: skip
    assert [point["value"] for point in rows["values"]] == [3, 3]
