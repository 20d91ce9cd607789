"""Runs scripts as real processes that start quickly: each is forked from a process that has imported the scripts.

In these processes, the client's back-off and the pauses between probes of a server are short.
"""

import gc
import multiprocessing
import multiprocessing.forkserver
import os
import random
import sys
import time
import types
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from scripts import ROOT

from hindsight.conversion import batch_endpoint
from hindsight.files import runs
from hindsight.servers import budgets, client

SINGLE, SWITCHING, CONVERTER = "single_model_inference.py", "switching_inference.py", "format_converter.py"
CURATOR, PLOTTER = "convert_to_data.py", "pass_at_k_plot.py"
CONTEXT = multiprocessing.get_context("forkserver")
SCRIPTS = (SINGLE, SWITCHING, CONVERTER, CURATOR, PLOTTER)
PATIENCE = 600.0  # seconds that a script may take on a busy machine
gc.disable()  # while the server imports
runs.versions()  # read once, before the scripts are forked
# What some scripts import only when they need it, which would take each of these processes a second
LATE = ("openai.types.chat", "openai.resources.batches", "openai.resources.files", "httpcore2")
LATE += ("matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_pdf")
CONTEXT.set_forkserver_preload(["quick_scripts", *(script.removesuffix(".py") for script in SCRIPTS), *LATE])


@cache
def compiled(path: str) -> types.CodeType:
    """A script as code. Scripts that tests fork were compiled before."""
    return compile(Path(path).read_bytes(), path, "exec")


for name in SCRIPTS:
    compiled(str(ROOT / name))


class Started:
    """A running script; its output goes to the files `output`.out and `output`.err."""

    def __init__(self, output: Path, script: str, flags: tuple):
        self.output, self.arguments = output, [str(ROOT / script), *map(str, flags)]
        output.parent.mkdir(parents=True, exist_ok=True)
        self.process = CONTEXT.Process(target=be_script, args=(self.arguments, str(output)))
        with mock.patch.dict(
            os.environ, PYTHONPATH=f"{ROOT}:{ROOT / 'tests' / 'helpers'}"
        ):  # of the server, when it begins
            self.process.start()

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def said(self) -> str:
        """Its output so far."""
        path = self.output.with_suffix(".out")
        return path.read_text() if path.exists() else ""

    def signal(self, number: int) -> None:
        """Sends a signal and waits until the script ends."""
        os.kill(self.process.pid, number)
        self.process.join(30)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()

    def wait(self, seconds: float = PATIENCE) -> CompletedProcess:
        """Waits until the script ends; fails if it does not, or leaves a traceback or an open connection."""
        self.process.join(seconds)
        if self.alive:
            self.kill()
            raise AssertionError(f"{self.arguments} did not end within {seconds} s: {self.said()}")
        errors = self.output.with_suffix(".err").read_text()
        assert "Traceback" not in errors and "Unclosed" not in errors, errors
        return CompletedProcess(self.arguments, self.process.exitcode, self.said(), errors)


def start(output: Path, script: str, *flags: object) -> Started:
    """Starts a script; `output` names the files for its output."""
    return Started(output, script, flags)


def run(output: Path, script: str, *flags: object) -> CompletedProcess:
    """Runs a script to its end."""
    return start(output, script, *flags).wait()


def kill_at_moments(output: Path, toy, script: str, *flags: object, kills: int = 5, most: int = 14) -> None:
    """Starts a script `kills` times and kills it after 0 to `most` requests: while it starts, asks or writes."""
    chance = random.Random(0)
    for _ in range(kills):
        process = start(output, script, *flags)
        until = len(toy.requests) + chance.randint(0, most)
        while len(toy.requests) < until and process.alive:
            time.sleep(0.001)
        time.sleep(chance.random() / 50)
        process.kill()


def everything(folder: Path) -> dict[str, bytes]:
    """The bytes of a run folder's files by name, hidden ones too; without run.json, which holds times."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


def be_script(arguments: list[str], output: str) -> None:
    """Runs the script in the new process, as Python would."""
    gc.freeze()  # what the server has imported is not searched for garbage: that would copy its memory
    gc.enable()
    for number, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(f"{output}{suffix}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout.reconfigure(line_buffering=True)
    client.FIRST_WAIT, client.LONGEST_WAIT = 0.01, 0.05
    client.PROBE_SECONDS = batch_endpoint.POLL_SECONDS = 0.05
    budgets.MINUTE = 1.0
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        os.environ.pop(name, None)
    os.chdir(ROOT)
    sys.argv = arguments
    script = sys.modules["__main__"] = types.ModuleType("__main__")
    script.__file__ = arguments[0]
    exec(compiled(arguments[0]), vars(script))
