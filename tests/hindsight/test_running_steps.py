"""The steps of a run as a user runs them: the dial before each run, the order, and no step without its caller."""

import json
import subprocess
import sys
import time

import pytest
from dialed_server import dialed_server
from scripts import ROOT, processes_of

from hindsight import pipeline
from hindsight.pipeline import SamplingRun, ServedModel, sample_runs

SETTINGS = {"num_samples": 2, "end_idx": 9, "top_p": 1.0, "merged_from": ["a", "b", "0.7"], "base_in_chat": True}
FLAGS = ("--num_samples", "1", "--top_p=1", "--merged_from", "a", "b", "0.7", "--base_in_chat")


def write_run(folder, names, **more):
    """A run folder with these files, of a run of two problems."""
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    run = {"script": "step.py", "settings": SETTINGS, "problems": {"question_ids": [0, 3]}, **more}
    (folder / "run.json").write_text(json.dumps(run))


@pytest.mark.parametrize(
    ("names", "flags", "more", "complete"),
    [
        ([(0, 0), (3, 0)], FLAGS, {}, True),
        ([(0, 0), (3, 0), (5, 0)], FLAGS, {}, True),
        ([(0, 0), (0, 1)], FLAGS, {}, False),
        ([(0, 0), (5, 0), (6, 0)], FLAGS, {}, False),
        ([(0, 0), (3, 0)], (*FLAGS, "--top_p", "0.9"), {}, False),
        ([(0, 0), (3, 0)], (*FLAGS[:-2], "0.8"), {}, False),
        ([(0, 0), (3, 0)], (*FLAGS, "--base_in_chat", "false"), {}, False),
        ([(0, 0), (3, 0)], (*FLAGS, "--unknown", "1"), {}, False),
        ([(0, 0), (3, 0)], FLAGS, {"script": "other.py"}, False),
        ([(0, 0), (3, 0)], FLAGS, {"problems": {"question_ids": [0]}}, False),
        ([(0, 0), (3, 0)], FLAGS, {"problems": None}, False),
    ],
)
def test_a_run_is_complete_if_it_has_the_wanted_samples_of_its_flags(tmp_path, names, flags, more, complete):
    names = [f"question_{question}_sample_{index}.json" for question, index in names]
    write_run(tmp_path / "run", names, **more)
    assert SamplingRun(tmp_path / "run", 2, 1, "step.py", flags, {}).is_complete() is complete


def test_the_dial_is_set_before_each_run_that_wants_another_alpha(monkeypatch, tmp_path):
    """A complete run comes first and touches nothing; without an alpha, the dial is left as it is."""
    write_run(tmp_path / "done", ["question_0_sample_0.json"])
    with dialed_server() as toy:
        monkeypatch.setattr(pipeline, "run_step", lambda script, *_, **__: len(toy.engine.calls) // 3)
        runs = [
            SamplingRun(tmp_path / name, 1, 1, "step.py", (), {"--base_urls": "m"}, alpha=alpha)
            for name, alpha in (("a", 0.7), ("b", 0.4), ("done", 0.1), ("c", 0.4), ("d", None), ("e", 1))
        ]
        found = []
        model = ServedModel("m", "", url=toy.url)
        sample_runs([model], runs, then=lambda run, changes, _: found.append((run.folder.name, changes)))
    assert found == [("done", 0), ("a", 0), ("b", 1), ("c", 1), ("d", 1), ("e", 2)]


def test_a_step_ends_with_the_process_that_runs_it(tmp_path):
    step = tmp_path / "step.py"
    step.write_text("import os, time\nprint(os.getpid(), os.setsid() or '', flush=True)\ntime.sleep(600)")
    code = f"from hindsight.pipeline import run_step; run_step({str(step)!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as caller:
        lines = (line.split() for line in caller.stdout)
        (pid,) = next(words for words in lines if len(words) == 1 and words[0].isdecimal())
        assert processes_of(int(pid)) == [int(pid)]
        caller.kill()
    until = time.monotonic() + 20
    while processes_of(int(pid)) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of(int(pid)) == []
