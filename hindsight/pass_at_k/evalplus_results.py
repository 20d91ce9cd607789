"""Counts of correct answers in result files of evalplus (Liu et al. 2023, github.com/evalplus/evalplus).

    {"eval": {"Mbpp/2": [{"solution": "...", "base_status": "pass", "plus_status": "fail"}, ...], ...}}
    {"eval": {"Mbpp/2": {"nfiles": 2, "base": [["success", [true]], ...], "plus": [["failed", [false]], ...]}, ...}}

The second is evalplus 0.1's. A sample that evalplus counts for "plus" passes the base tests and the plus tests
(evalplus/evaluate.py). With base tests only, `plus_status` is null, and `plus` is empty.
"""

import gzip
import json
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from hindsight.errors import UserError, require
from hindsight.files.runs import RUN_FILE
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.verdict_counts import ProblemCounts, VerdictCounts, tabulate

# What a sample has to pass, by reading: evalplus's "plus", its "base", and the plus tests without the base tests
READINGS = {"plus": ("base", "plus"), "base": ("base",), "plus alone": ("plus",)}
PASSED = {"pass": True, "success": True, "fail": False, "failed": False, "timeout": False, "timed out": False}
_NAME = re.compile(r"(?:^|[._])eval_results\.json(?:\.gz)?$")


class Sample(msgspec.Struct):
    """A sample's statuses; None where its tests were not run."""

    base_status: str | None
    plus_status: str | None = None


class OldTask(msgspec.Struct):
    """A task in the schema of evalplus 0.1: a status, with details, per sample."""

    base: list[tuple[str, Any]]
    plus: list[tuple[str, Any] | None] | None = None


class Results(msgspec.Struct):
    """The part of a result file that is read."""

    eval: dict[str, list[Sample] | OldTask]


def result_files(folder: Path) -> list[Path]:
    """The result files in a folder, else in its subfolders (one per set or model), in order; none in a run folder."""
    if not folder.is_dir() or (folder / RUN_FILE).exists():
        return []
    paths = sorted(folder.iterdir())
    if any(path.name.startswith(("question_", "converted_question_")) for path in paths):
        return []
    found = [path for path in paths if _NAME.search(path.name)]
    return found or [file for path in paths if not path.is_symlink() for file in result_files(path)]


def label_of(path: Path) -> str:
    """A result file's name without evalplus's ending; its folder's name if that leaves nothing."""
    return _NAME.sub("", path.name) or path.absolute().parent.name


def count_evalplus(path: Path, reading: str) -> VerdictCounts:
    """The verdicts in a result file, plain or gzipped, by one of READINGS.

    Raises UserError for a file that is not a result file, has no task, or has a sample without a known status.
    """
    tasks = {
        task: _old_samples(path, task, samples) if isinstance(samples, OldTask) else samples
        for task, samples in _read(path).items()
    }
    require(any(tasks.values()), f"{path} holds no sample of a task")
    if "plus" in READINGS[reading] and not any(each.plus_status for samples in tasks.values() for each in samples):
        raise UserError(f"{path} was made with the base tests only, so it has no plus_status; give --status base")
    counts = {}
    for task, samples in tasks.items():
        passed = [
            all([_passed(sample, tests, f"sample {number} of {task} in {path}") for tests in READINGS[reading]])
            for number, sample in enumerate(samples)
        ]
        outcomes = Counter(Outcome.CORRECT if each else Outcome.WRONG for each in passed)
        counts[task] = ProblemCounts(files=len(samples), outcomes=outcomes)
    return tabulate(counts)


def _read(path: Path) -> dict[str, list[Sample] | OldTask]:
    content = path.read_bytes()
    try:
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        return msgspec.convert(json.loads(text), Results).eval
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a result file of evalplus: {error}") from None


def _old_samples(path: Path, task: str, old: OldTask) -> list[Sample]:
    """A task's samples, from the older schema."""
    base, plus = ([each and each[0] for each in side] for side in (old.base, old.plus or []))
    require(not plus or len(plus) == len(base), f"{task} in {path} has {len(base)} base and {len(plus)} plus results")
    return [Sample(*statuses) for statuses in zip(base, plus or [None] * len(base), strict=True)]


def _passed(sample: Sample, tests: str, name: str) -> bool:
    """Whether a sample passed the base or the plus tests. Raises UserError unless its status is known."""
    status = getattr(sample, f"{tests}_status")
    if status not in PASSED:
        has = "no" if status is None else f"an unknown {status!r} as"
        raise UserError(f"{name} has {has} {tests}_status; evalplus's are {', '.join(PASSED)}")
    return PASSED[status]
