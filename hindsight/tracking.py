"""Writes what the steps have done to an experiment tracker, from their files: the steps know nothing about trackers.

A run folder is a run of trackio's project, a dataset of step 4 another; each report adds one point. Trackio keeps them
in an SQLite file on this machine and needs no server; this repository does not require it.
"""

import contextlib
import datetime
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.masks import read_mask
from hindsight.files.records import read_record
from hindsight.files.run_progress import COMPLETE, RunProgress
from hindsight.files.runs import read_run
from hindsight.pass_at_k.curves import make_curve
from hindsight.pass_at_k.labels import RunLabel
from hindsight.pass_at_k.run_counts import count_folder

LARGEST_K = 10
REPORT = ".report.json"  # the end of the name of step 4's report
STEPS = {"conversion": "format_converter.py", "judging": "check_converted_samples.py"}

Summary = tuple[dict[str, Any], dict[str, float]]  # a run's settings, and its numbers by name


class Tracker:
    """A project of trackio. Raises UserError for another tracker, or if trackio is not installed."""

    def __init__(self, name: str, project: str):
        require(name == "trackio", f"REPORT_TO is trackio or empty, not {name!r}")
        installed = importlib.util.find_spec("trackio") is not None
        require(installed, "REPORT_TO trackio needs the package: pip install trackio")
        self._project, self._reported = project, {}

    def report(self, name: str, summary: Summary) -> None:
        """Adds a point to the project's run of that name, unless nothing has changed since the last one."""
        import trackio  # pyright: ignore[reportMissingImports]

        settings, numbers = summary
        if not numbers or self._reported.get(name) == numbers:
            return
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how to open its pages, for each run again
            options: Any = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
            trackio.init(project=self._project, name=name, config=settings, resume="allow", **options)
            trackio.log(numbers)
            trackio.finish()
        self._reported[name] = numbers


def run_summary(folder: Path, look: RunProgress) -> Summary:
    """Steps 1 to 3 of a run folder, and pass@k once these have ended; numbers that are unknown are absent."""
    run = read_run(folder)
    steps = {step: run["steps"].get(script) or {} for step, script in STEPS.items()}
    ended = look.sampling == COMPLETE and all(entry.get("ended") for entry in steps.values())
    numbers: dict[str, float | None] = {
        "sampling/answers": look.done,
        "sampling/missing": look.missing,
        "sampling/failed": look.failed,
        "sampling/completion_tokens": look.completion_tokens,
        "sampling/answers_per_second": look.answers_per_second,
        "sampling/tokens_per_second": look.tokens_per_second,
        "sampling/seconds": run.get("seconds"),
        "conversion/converted": look.converted,
        "conversion/no_answer": look.no_answer,
        "judging/checked": look.checked,
        **{f"judging/{verdict}": count for verdict, count in look.verdicts.items()},
        **{f"{step}/seconds": _seconds(entry) for step, entry in steps.items()},
        **(_pass_at_k(folder) if ended else {}),
    }
    problems = run.get("problems") or {}
    facts = {"models": look.model, "alpha": look.alpha, "problem_set": problems.get("dataset")}
    settings = {**facts, "digest": problems.get("digest"), **(run.get("settings") or {})}
    return settings, {name: number for name, number in numbers.items() if number is not None}


def dataset_summaries(folder: Path) -> Iterator[tuple[str, Summary]]:
    """The name and the counts of each dataset that step 4 has written to a folder."""
    for path in sorted(folder.glob(f"*{REPORT}")):
        try:
            report = read_record(path, ("settings", "files", "counts"))
        except BrokenFile:
            continue
        numbers = {f"curation/{name}": float(sum(counts)) for name, counts in report["counts"].items()}
        for split, file in report["files"].items():
            numbers |= {f"curation/{split} {unit}": file[unit] for unit in ("rows", "problems")}
        yield str(path).removesuffix(REPORT), (report["settings"], numbers)


def _pass_at_k(folder: Path) -> dict[str, float]:
    """Pass@k of a run for k up to its smallest number of samples; nothing if some answers have no verdict."""
    try:
        counts = count_folder(folder, read_mask(""))
        ks = range(1, min(LARGEST_K, int(counts.samples.min())) + 1)
        curve = make_curve(counts, RunLabel(str(folder)), ks, False, str(folder)) if ks else None
    except UserError:
        return {}
    return {f"pass@k/{k}": float(mean) for k, mean in zip(curve.ks, curve.mean, strict=True)} if curve else {}


def _seconds(entry: dict[str, Any]) -> float | None:
    """How long the last call of a step took; None while it is unknown."""
    if not entry.get("ended"):
        return None
    started = entry.get("resumed") or entry["started"]
    begun, ended = (datetime.datetime.fromisoformat(time) for time in (started, entry["ended"]))
    return (ended - begun).total_seconds()
