"""Judges the same samples as evalplus 0.3.1, two programs at a time each: samples a second, and differing statuses.

The samples are the programs of `shared/evalplus`, which must lie beside the repository. Both have computed the expected
values before. evalplus runs in an environment of its own, `.venv-evalplus`, which is made when it is missing.

    python -m benchmarks.evalplus [ROUNDS]     # 1: three minutes
"""

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "evalplus"
ENVIRONMENT = ROOT / ".venv-evalplus"
SETS = {"humaneval": "HumanEvalPlus", "mbpp": "MbppPlus"}
WORKERS = 2


def evalplus_python() -> Path:
    """The interpreter of an environment with evalplus and all that it needs."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "evalplus==0.3.1"], check=True)
    return python


def write_samples(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Writes a sample file."""
    lines = (json.dumps({"task_id": row["task_id"], "solution": row["solution"]}) for row in rows)
    path.write_text("\n".join(lines))


def evaluate_by_evalplus(kind: str, samples: Path, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """The result file that evalplus writes, its `eval`."""
    paths = {f"{kind.upper()}_OVERRIDE_PATH": str(cache / f"{kind}.jsonl"), "XDG_CACHE_HOME": str(cache)}
    command = [evalplus_python(), "-m", "evalplus.evaluate", "--dataset", kind, "--samples", samples]
    return run([*command, "--parallel", WORKERS], samples, paths)


def evaluate_here(kind: str, samples: Path, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """The same by this repository's script."""
    command = [sys.executable, ROOT / "SkyThought" / "evaluate_samples.py", "--problems", f"{kind}plus"]
    command += ["--problems_file", cache / f"{kind}.jsonl", "--samples", samples, "--workers", WORKERS]
    return run(command, samples, {"XDG_CACHE_HOME": str(cache)})


def run(command: list[Any], samples: Path, environment: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Runs a command that writes the result file of a sample file; reads and removes that."""
    ended = subprocess.run(list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True)
    output = samples.with_name(f"{samples.stem}_eval_results.json")
    if not output.exists():
        sys.exit(ended.stdout[-2000:] + ended.stderr[-2000:])
    results = json.loads(output.read_text())["eval"]
    output.unlink()
    return results


def count_differences(known: dict[tuple[str, str], set], results: dict[str, list[dict[str, Any]]]) -> int:
    """How many samples have other statuses than those that evalplus gave on a quiet machine."""
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
            with gzip.open(DATA / f"{stem}.jsonl.gz") as packed, (folder / f"{kind}.jsonl").open("wb") as file:
                shutil.copyfileobj(packed, file)
            compare(kind, [row for row in rows if row["set"] == f"{kind}plus"], known, folder, rounds)


def compare(kind: str, rows: list[dict[str, Any]], known: dict, folder: Path, rounds: int) -> None:
    """Prints the seconds of both on one set, in turns, and the differences."""
    samples, warm = folder / f"{kind}_samples.jsonl", folder / f"{kind}_warm.jsonl"
    write_samples(samples, rows)
    write_samples(warm, [row for row in rows if row["source"] == "canonical"])
    seconds: dict[str, list[float]] = {"evalplus": [], "here": []}
    differences: dict[str, list[int]] = {"evalplus": [], "here": []}
    ways = {"evalplus": evaluate_by_evalplus, "here": evaluate_here}
    for way in ways.values():
        way(kind, warm, folder)
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            results = way(kind, samples, folder)
            seconds[name].append(time.perf_counter() - begun)
            differences[name].append(count_differences(known, results))
    print(f"{kind}+: {len(rows)} samples, base and plus, {WORKERS} programs at a time, load {os.getloadavg()[0]:.1f}")
    for name, title in (("evalplus", "evalplus 0.3.1"), ("here", "this judge")):
        median = statistics.median(seconds[name])
        print(f"  {title:15} {len(rows) / median:7.1f} samples a second; other statuses: {differences[name]}")
    ratio = statistics.median(a / b for a, b in zip(seconds["evalplus"], seconds["here"], strict=True))
    print(f"  ratio           {ratio:7.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
