"""The progress of runs, from any shell: one line each, read from the run's files while the scripts write them.

    python -m hindsight.progress runs/taco/*                   # run folders, or folders that contain some
    python -m hindsight.progress runs --watch 30               # again every 30 seconds, until Ctrl-C
    python -m hindsight.progress runs --json                   # one JSON object per run and line, for programs
    python -m hindsight.progress runs --report_to trackio      # also a point per run and dataset in that tracker

docs/watching.md explains the columns. Exit status: 1 if a name is not a run, 2 if none is.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hindsight.errors import UserError, require
from hindsight.files.run_progress import RunProgress, RunWatch, is_run
from hindsight.sampling.progress import duration
from hindsight.settings import Settings, run_script
from hindsight.tracking import Tracker, dataset_summaries, run_summary

# fmt: off
RUNS = ["runs"]  # run folders, or folders that contain run folders
WATCH = 0.0      # seconds between two looks; 0: look once
JSON = False     # print one JSON object per run and line
REPORT_TO = ""   # trackio: also write each run's and dataset's summary to that tracker; empty: no
PROJECT = "hindsight"  # the tracker's project
# fmt: on

COLUMNS = ["run", "sampling", "done", "missing", "failed", "tokens", "tokens/s", "answers/s"]
COLUMNS += ["left", "converted", "verdicts"]
CLEAR_SCREEN = "\x1b[H\x1b[J"


class Watch:
    """The runs below some folders, looked at again and again; `strange`: names that are not runs, and broken runs."""

    def __init__(self, names: Sequence[str]):
        self._names, self._watches = names, {}
        self.strange: list[str] = []

    def look(self) -> Iterator[RunProgress]:
        """A look at each run. Raises UserError if no name is a run or contains one."""
        found = {name: list(find_runs(Path(name))) for name in self._names}
        folders = list(dict.fromkeys(folder for folders in found.values() for folder in folders))
        no_runs = [name for name, folders in found.items() if not folders]
        require(bool(folders), f"{no_run(no_runs)}: a run has run.json or question_*_sample_*.json")
        self.strange = [no_run(no_runs)] if no_runs else []
        for folder in folders:
            try:
                yield self._watches.setdefault(folder, RunWatch(folder)).look()
            except UserError as error:
                self.strange.append(str(error))
            except FileNotFoundError:
                self.strange.append(f"{folder} was deleted")


def find_runs(folder: Path) -> Iterator[Path]:
    """The folder if it is a run, else the runs in it, at any depth and in order of their names."""
    if not folder.is_dir():
        return
    if is_run(folder):
        yield folder
        return
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from find_runs(Path(entry.path))


def no_run(names: Sequence[str]) -> str:
    """A sentence with the names that are not runs."""
    return f"{names[0]} is not a run" if len(names) == 1 else f"{len(names)} names are not runs ({', '.join(names)})"


def table(looks: Sequence[RunProgress]) -> str:
    """A head and a line per run; `unknown` is written where a number is unknown."""
    rows = [COLUMNS, *map(row, looks)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = ("run", "sampling", "verdicts")
    lines = (
        "  ".join(
            cell.ljust(width) if name in left else cell.rjust(width)
            for name, cell, width in zip(COLUMNS, cells, widths, strict=True)
        )
        for cells in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def row(look: RunProgress) -> tuple[str, ...]:
    """The cells of a run, in the order of COLUMNS."""
    tokens = number(look.completion_tokens)
    if look.without_tokens and look.completion_tokens is not None:
        tokens = f">{tokens}"
    left = {"complete": "none", "stopped": "stopped"}.get(look.sampling)
    verdicts = [f"{verdict} {count:,}" for verdict, count in look.verdicts.items()]
    return (
        look.run,
        look.sampling,
        number(look.done),
        number(look.missing),
        number(look.failed),
        tokens,
        number(look.tokens_per_second),
        number(look.answers_per_second),
        left or ("unknown" if look.seconds_left is None else duration(look.seconds_left)),
        number(look.converted),
        ", ".join(verdicts) or "none",
    )


def number(value: float | None) -> str:
    """A number for people; `unknown` for None."""
    if value is None:
        return "unknown"
    return f"{value:.2f}" if isinstance(value, float) and value < 10 else f"{value:,.0f}"


def show(watch: Watch, as_json: bool) -> list[RunProgress]:
    """Looks once and prints what was seen; names that are not runs go to the standard error stream."""
    looks = list(watch.look())
    if as_json:
        for look in looks:
            print(json.dumps(dataclasses.asdict(look), ensure_ascii=False), flush=True)
    else:
        print(table(looks), flush=True)
    for sentence in watch.strange:
        print(sentence, file=sys.stderr)
    return looks


def report(tracker: Tracker, looks: Sequence[RunProgress], names: Sequence[str]) -> None:
    """Writes the summary of each run, and of each dataset in the named folders or their subfolders."""
    for look in looks:
        tracker.report(look.run, run_summary(Path(look.run), look))
    for name in names:
        for folder in (Path(name), *sorted(path for path in Path(name).glob("*") if path.is_dir())):
            for dataset, summary in dataset_summaries(folder):
                tracker.report(dataset, summary)


def main(settings: Settings) -> int:
    require(settings.watch >= 0, f"WATCH is a number of seconds, not {settings.watch}")
    watch = Watch(settings.runs)
    tracker = Tracker(settings.report_to, settings.project) if settings.report_to else None
    try:
        while True:
            looks = show(watch, settings.json)
            if tracker:
                report(tracker, looks, settings.runs)
            if not settings.watch:
                return 1 if watch.strange else 0
            time.sleep(settings.watch)
            if not settings.json:
                print(CLEAR_SCREEN if sys.stdout.isatty() else "\n", end="")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # its reader has seen enough, as in `| head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    run_script(main, globals(), words="RUNS")
