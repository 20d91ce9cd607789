"""Runs scripts as processes that start quickly: each is a fork of a process that has imported the scripts.

In these processes, the client's back-off and the pauses between probes of a server are short.
"""

import os
import random
import signal
import time
from pathlib import Path
from subprocess import CompletedProcess

from quick_python import Fork
from scripts import ROOT

SINGLE, SWITCHING, CONVERTER = "single_model_inference.py", "switching_inference.py", "format_converter.py"
CURATOR, PLOTTER = "convert_to_data.py", "pass_at_k_plot.py"
NOT_PASSED = {"OPENAI_API_KEY", "OPENAI_BASE_URL"}
PATIENCE = 600.0  # seconds that a script may take on a busy machine


class Started:
    """A running script; its output goes to the files `output`.out and `output`.err."""

    def __init__(self, output: Path, script: str, flags: tuple):
        self.output, self.arguments = output, [str(ROOT / script), *map(str, flags)]
        output.parent.mkdir(parents=True, exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if key not in NOT_PASSED}
        with (
            Path(os.devnull).open() as nothing,
            output.with_suffix(".out").open("w") as said,
            output.with_suffix(".err").open("w") as errors,
        ):
            files = [file.fileno() for file in (nothing, said, errors)]
            self.process = Fork(self.arguments, ROOT, environment, files)

    @property
    def alive(self) -> bool:
        return self.process.wait(0) is None

    def said(self) -> str:
        """Its output so far."""
        return self.output.with_suffix(".out").read_text()

    def signal(self, number: int) -> None:
        """Sends a signal and waits until the script ends."""
        os.kill(self.process.pid, number)
        self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL."""
        if self.alive:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(None)

    def wait(self, seconds: float = PATIENCE) -> CompletedProcess:
        """Waits until the script ends; fails if it does not, or leaves a traceback or an open connection."""
        if self.process.wait(seconds) is None:
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
