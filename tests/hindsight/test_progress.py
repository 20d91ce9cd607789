"""The script that shows how far runs are: its lines, its JSON, and what it says of folders that are no run."""

import json
import os
import re
import select
import subprocess
import sys

import pytest
from scripts import ROOT, run_in_process

from hindsight import progress
from hindsight.files.answer_files import sample_path

KNOWN = {
    "script": "single_model_inference.py", "settings": {"num_samples": 2}, "models": ["lab-instruct"],
    "problems": {"question_ids": [3, 4]}, "started": "2023-11-14T22:13:20+00:00", "failed": {},
}  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    """Two runs, one deeper than the other: the first lacks one answer of four, the second has no run.json."""
    for name, number in (("a", 3), ("deep/b", 1)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        for sample in range(number):
            record = {"usage": {"completion_tokens": 1000}} if name == "a" else {}
            sample_path(folder, 3 + sample // 2, sample % 2).write_text(json.dumps(record))
    (tmp_path / "runs" / "a" / "run.json").write_text(json.dumps(KNOWN))
    (tmp_path / "runs" / "data").mkdir()
    return tmp_path / "runs"


def test_a_line_per_run_with_unknown_where_a_number_is_unknown(runs):
    result = run_in_process(progress, "--runs", runs)
    head, *lines = result.stdout.splitlines()
    assert result.returncode == 0 and not result.stderr
    assert re.split(r"\s{2,}", head) == list(progress.COLUMNS)
    first, second = (re.split(r"\s{2,}", line) for line in lines)
    assert first[:6] == [str(runs / "a"), "unknown", "3", "1", "0", "3,000"]
    assert second[:6] == [str(runs / "deep/b"), "unknown", "1", "unknown", "unknown", "unknown"]
    assert first[-2:] == second[-2:] == ["0", "none"]


def test_json_is_one_object_per_line(runs):
    result = run_in_process(progress, "--runs", runs, "--json")
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(look["done"], look["missing"], look["failed"]) for look in looks] == [(3, 1, 0), (1, None, None)]


def test_names_that_are_no_runs_are_named_and_without_any_run_the_status_is_2(runs):
    result = run_in_process(progress, "--runs", runs / "a", runs / "data", runs / "no such")
    assert result.returncode == 1 and len(result.stdout.splitlines()) == 2
    assert f"2 names are not runs ({runs / 'data'}, {runs / 'no such'})" in result.stderr
    result = run_in_process(progress, "--runs", runs / "data")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"progress.py: {runs / 'data'} is not a run: a run has run.json or question_*_sample_*.json\n"
    )


def test_a_broken_run_json_is_named_and_the_other_runs_are_shown(runs):
    (runs / "a" / "run.json").write_text("{")
    result = run_in_process(progress, "--runs", runs)
    assert result.returncode == 1 and "deep/b" in result.stdout
    assert "is not valid JSON" in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_watching_shows_what_is_new_and_runs_that_begin_and_ends_by_ctrl_c(runs):
    command = [sys.executable, "-m", "hindsight.progress", runs, "--watch", "0.05", "--json"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment) as process:

        def until(condition):
            return any(condition(json.loads(line)) for line in process.stdout)

        assert select.select([process.stdout], [], [], 60)[0]
        sample_path(runs / "a", 4, 1).write_text("{}")
        assert until(lambda look: look["sampling"] == "complete" and look["done"] == 4)
        (runs / "c").mkdir()
        sample_path(runs / "c", 0, 0).write_text("{}")
        assert until(lambda look: look["run"] == str(runs / "c"))
        process.send_signal(2)
        process.stdout.read()
        assert process.wait(30) == 130


def test_watch_is_no_negative_number(runs):
    assert run_in_process(progress, "--runs", runs, "--watch", "-1").returncode == 2
