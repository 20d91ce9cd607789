"""Judges the same samples as evalplus 0.3.1, both with two programs at a time: samples per second, differing statuses.

The samples are the programs of `shared/evalplus`, which must lie beside the repository. Both have computed the expected
values beforehand. evalplus runs in a separate environment, `.venv-evalplus`, which is made when it is missing.

    python -m benchmarks.evalplus [ROUNDS]     # 1: ten minutes

Much of the time is the programs' own, in any judge: the reference solution of Mbpp/599 alone computes for 43 s, and a
program that never ends takes a second for base and one for plus. So the samples of the quick tasks, whose own solution
needs less than QUICK_SECONDS for all inputs, are also measured separately.
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from benchmarks import run_benchmark
from hindsight.problem_sets.selection import load_problems
from SkyThought.evalplus_rules import reading_of
from SkyThought.execution.warm_process_handle import WarmProcess
from SkyThought.problem_tests import read_tests
from SkyThought.reference_values import reference_values

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "evalplus"
ENVIRONMENT = ROOT / ".venv-evalplus"
SETS = {"humaneval": "HumanEvalPlus", "mbpp": "MbppPlus"}
WORKERS = 2
QUICK_SECONDS = 0.1


def evalplus_python() -> Path:
    """The interpreter of an environment with evalplus and its dependencies."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "evalplus==0.3.1"], check=True)
    return python


def write_samples(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Writes a sample file."""
    lines = (json.dumps({"task_id": row["task_id"], "solution": row["solution"]}) for row in rows)
    path.write_text("\n".join(lines))


def evaluate_by_evalplus(kind: str, data: Path, samples: Path) -> dict[str, list[dict[str, Any]]]:
    """The result file that evalplus writes for the set in a file, its `eval`."""
    paths = {f"{kind.upper()}_OVERRIDE_PATH": str(data), "XDG_CACHE_HOME": str(data.parent)}
    command = [evalplus_python(), "-m", "evalplus.evaluate", "--dataset", kind, "--samples", samples]
    return run([*command, "--parallel", WORKERS], samples, paths)


def evaluate_here(kind: str, data: Path, samples: Path) -> dict[str, list[dict[str, Any]]]:
    """The same by this repository's script."""
    command = [sys.executable, ROOT / "SkyThought" / "evaluate_samples.py", "--problems", f"{kind}plus"]
    command += ["--problems_file", data, "--samples", samples, "--workers", WORKERS]
    return run(command, samples, {"XDG_CACHE_HOME": str(data.parent)})


def run(command: list[Any], samples: Path, environment: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Runs a command that writes the result file of a sample file; reads and removes that."""
    ended = subprocess.run(list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True)
    output = samples.with_name(f"{samples.stem}_eval_results.json")
    if not output.exists():
        sys.exit(ended.stdout[-2000:] + ended.stderr[-2000:])
    results = json.loads(output.read_text())["eval"]
    output.unlink()
    return results


def reference_seconds(kind: str, data: Path) -> dict[str, list[float]]:
    """The CPU seconds of each task's own solution, input by input; its values must be in the cache."""
    os.environ["XDG_CACHE_HOME"] = str(data.parent)
    no_process, seconds = cast(WarmProcess, None), {}
    for problem in load_problems(f"{kind}plus:{data}"):
        task = read_tests(problem["input_output"]).task
        assert task is not None  # each problem of these sets is one
        values = [reference_values(no_process, task, group, reading_of(task)) for group in task.inputs]
        seconds[task.task_id] = [each for group in values for each in group.seconds]
    return seconds


def count_differences(known: dict[tuple[str, str], set], results: dict[str, list[dict[str, Any]]]) -> int:
    """How many samples have statuses other than those that evalplus gave on a quiet machine."""
    found = [(each, (each["base_status"], each["plus_status"])) for samples in results.values() for each in samples]
    plain = [(each, tuple("fail" if status == "timeout" else status for status in both)) for each, both in found]
    return sum(both not in known[each["task_id"], each["solution"]] for each, both in plain)


def main(rounds: int = 1) -> None:
    if not DATA.is_dir():
        print(f"evalplus: not measured, its sets are not in {DATA}")
        return
    with gzip.open(DATA / "programs.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    known: dict[tuple[str, str], set] = {}
    for row in rows:
        known.setdefault((row["task_id"], row["solution"]), set()).add((row["base_status"], row["plus_status"]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, stem in SETS.items():
            lines = gzip.decompress((DATA / f"{stem}.jsonl.gz").read_bytes()).splitlines(keepends=True)
            data, quick_data = folder / f"{kind}.jsonl", folder / f"{kind}_quick.jsonl"
            data.write_bytes(b"".join(lines))
            own = [row for row in rows if row["set"] == f"{kind}plus"]
            compare(kind, data, own, known, rounds)
            quick = {task for task, seconds in reference_seconds(kind, data).items() if sum(seconds) < QUICK_SECONDS}
            quick_data.write_bytes(b"".join(line for line in lines if json.loads(line)["task_id"] in quick))
            print(
                f"of these, the {len(quick)} of {len(lines)} tasks whose own solution needs less than {QUICK_SECONDS} s"
            )
            compare(kind, quick_data, [row for row in own if row["task_id"] in quick], known, rounds)


def compare(kind: str, data: Path, rows: list[dict[str, Any]], known: dict, rounds: int) -> None:
    """Prints the seconds of both on the samples of a set, in turns, and the differences."""
    samples, warm = data.with_name(f"{data.stem}_samples.jsonl"), data.with_name(f"{data.stem}_warm.jsonl")
    write_samples(samples, rows)
    write_samples(warm, [row for row in rows if row["source"] == "canonical"])
    seconds: dict[str, list[float]] = {"evalplus": [], "here": []}
    differences: dict[str, list[int]] = {"evalplus": [], "here": []}
    ways = {"evalplus": evaluate_by_evalplus, "here": evaluate_here}
    for way in ways.values():
        way(kind, data, warm)
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            results = way(kind, data, samples)
            seconds[name].append(time.perf_counter() - begun)
            differences[name].append(count_differences(known, results))
    print(f"{kind}+: {len(rows)} samples, base and plus, {WORKERS} programs at a time, load {os.getloadavg()[0]:.1f}")
    for name, title in (("evalplus", "evalplus 0.3.1"), ("here", "this judge")):
        median = statistics.median(seconds[name])
        print(f"  {title:15} {len(rows) / median:7.1f} samples per second; other statuses: {differences[name]}")
    ratio = statistics.median(a / b for a, b in zip(seconds["evalplus"], seconds["here"], strict=True))
    print(f"  ratio           {ratio:7.1f}", flush=True)


if __name__ == "__main__":
    run_benchmark(main)
