"""Where the runs and checkpoints of the notebooks are.

`make demo` leaves its runs in runs/lab, `make loop` in runs/loop. The environment variables HINDSIGHT_RUNS and
HINDSIGHT_LOOP name other folders that hold the same runs; HINDSIGHT_MODELS names a folder of checkpoints other than
lab/models.
"""

import os
from pathlib import Path

from hindsight.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("base", "switching", "alpha_0.7", "instruct")  # of `make demo`
LOOP_RUNS = ("start", "finetuned", "alpha_0.4", "alpha_0.7", "alpha_0.9")  # of `make loop`


def runs_folder() -> Path:
    """The folder that holds the demo's run folders."""
    return Path(os.environ.get("HINDSIGHT_RUNS") or ROOT / "runs" / "lab")


def loop_folder() -> Path:
    """The folder that holds the loop's run folders."""
    return Path(os.environ.get("HINDSIGHT_LOOP") or ROOT / "runs" / "loop")


def models_folder() -> Path:
    """The folder that holds the checkpoints `base` and `instruct`."""
    return Path(os.environ.get("HINDSIGHT_MODELS") or ROOT / "lab" / "models")


def run_folder(run: str, parent: Path | None = None) -> Path:
    """The folder of a run in `parent`, by default among the demo's runs. Raises UserError when it is missing."""
    parent = parent or runs_folder()
    if not (parent / run).is_dir():
        raise UserError(
            f"{parent} has no run {run!r}; make it with `make demo` or `make loop`, or name a folder that has it in "
            "the environment variable HINDSIGHT_RUNS or HINDSIGHT_LOOP"
        )
    return parent / run
