"""The steps of a run as a user runs them: the dial before each run, the order, and no step without its caller."""

import subprocess
import sys
import time

from dialed_server import dialed_server
from scripts import ROOT, processes_of

from hindsight import pipeline
from hindsight.pipeline import SamplingRun, ServedModel, sample_runs


def test_the_dial_is_set_before_each_run_that_wants_another_alpha(monkeypatch, tmp_path):
    """A complete run comes first and touches nothing; without an alpha, the dial is left as it is."""
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "question_0_sample_0.json").touch()
    with dialed_server() as toy:
        monkeypatch.setattr(pipeline, "run_step", lambda script, *_, **__: len(toy.engine.calls) // 3)
        runs = [
            SamplingRun(tmp_path / name, 1, "step.py", (), {"--base_urls": "m"}, alpha=alpha)
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
