"""Runs a script as a user would, and writes the files that the step before it would have written."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from hindsight import settings
from hindsight.files import answer_files
from hindsight.text.uniform_format import render

ROOT = Path(__file__).resolve().parents[2]
DEMO_PROBLEMS, DEMO_SAMPLES = 9, 4
DEMO_SIZE = ("--end_idx", str(DEMO_PROBLEMS), "--num_samples", str(DEMO_SAMPLES))  # of the tests' `make demo`
TACO_REAL = ROOT.parent / "shared" / "taco_real"
EVALPLUS = ROOT.parent / "shared" / "evalplus"
EVERY = int(os.environ.get("HINDSIGHT_EVERY", "27"))  # real programs are sampled; 1: all, in every way, in minutes


def run_script(script, *flags, cwd=ROOT, **environment):
    """Runs a script in a subprocess, as a user does."""
    return subprocess.run(
        [sys.executable, ROOT / script, *map(str, flags)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def wait_until(condition, seconds=30.0):
    """Returns once the condition holds. Fails when it does not in this time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.002)


def run_in_process(module, *flags):
    """The same in this process, from flags to exit status, which saves the script's imports."""
    arguments, output, errors = [module.__file__, *map(str, flags)], io.StringIO(), io.StringIO()
    with chdir(ROOT), mock.patch("sys.argv", arguments), redirect_stdout(output), redirect_stderr(errors):
        try:
            settings.run_script(module.main, vars(module))
        except SystemExit as ended:
            return subprocess.CompletedProcess(arguments, ended.code, output.getvalue(), errors.getvalue())


@contextmanager
def output_to(path):
    """What this process and those that it starts print goes to a file."""
    terminal = os.dup(1)
    with path.open("w", buffering=1) as file, redirect_stdout(file):
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(terminal, 1)
            os.close(terminal)


def processes_of(group):
    """The process ids of a process group, except zombies."""
    lines = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True).stdout.splitlines()
    rows = [line.split() for line in lines]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]


def write_converted(folder, question_id, sample_index, program, problem, **more):
    """Writes a converted answer with a program, as step 2 does; its metadata holds the problem with its tests."""
    text = render("hm", f"```python\n{program}\n```")
    record = {
        "prompt": "",
        "generated_text": text,
        "metadata": problem,
        "question_id": question_id,
        "sample_index": sample_index,
        "converted_text": text,
        "conversion": {"how": "rules"},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = answer_files.converted_path(folder, question_id, sample_index)
    path.write_text(json.dumps(record))
    return path


def converted(folder):
    """The converted answers of a run folder, in order."""
    return [json.loads(path.read_text()) for path in answer_files.list_files(folder, "converted").values()]


def texts(folder):
    """The converted texts of a run folder's answers."""
    return [record["converted_text"] for record in converted(folder)]
