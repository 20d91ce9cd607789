"""Judges correct programs as evalplus 0.3.1 and as this repository, while the cores are idle and while they are busy.

evalplus limits the wall-clock time of an input, this judge its CPU time, so only the verdicts of evalplus can depend on
what else the machine does. The programs are those of `shared/evalplus` that pass, of the tasks whose own solution needs
between SLOW_SECONDS and MOST_SECONDS for an input, since quick programs have time to spare. Busy means PROCESSES
endless loops on the machine.

    python -m benchmarks.evalplus_busy     # ten minutes
"""

import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import run_benchmark
from benchmarks.evalplus import DATA, SETS, evaluate_by_evalplus, evaluate_here, reference_seconds, write_samples

SLOW_SECONDS, MOST_SECONDS = 0.05, 1.0
PROCESSES = 16


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Endless loops beside whatever runs in the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> None:
    if not DATA.is_dir():
        print(f"evalplus: not measured, its sets are not in {DATA}")
        return
    with gzip.open(DATA / "programs.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    with tempfile.TemporaryDirectory() as folder:
        for kind, stem in SETS.items():
            own = [row for row in rows if row["set"] == f"{kind}plus"]
            compare(kind, gzip.decompress((DATA / f"{stem}.jsonl.gz").read_bytes()), own, Path(folder))


def compare(kind: str, lines: bytes, rows: list[dict], folder: Path) -> None:
    """Prints how many of the rows that pass, of slow tasks, do not pass, by both, idle and busy."""
    whole, data = folder / f"{kind}_whole.jsonl", folder / f"{kind}.jsonl"
    whole.write_bytes(lines)
    samples = folder / f"{kind}_samples.jsonl"
    write_samples(samples, [row for row in rows if row["source"] == "canonical"])
    evaluate_here(kind, whole, samples)  # also measures the reference solutions
    longest = {task: max(seconds) for task, seconds in reference_seconds(kind, whole).items()}
    rows = [row for row in rows if row["base_status"] == row["plus_status"] == "pass"]
    rows = [row for row in rows if SLOW_SECONDS <= longest[row["task_id"]] <= MOST_SECONDS]
    slow = {row["task_id"] for row in rows}
    data.write_text("".join(f"{line}\n" for line in lines.decode().splitlines() if json.loads(line)["task_id"] in slow))
    write_samples(samples, rows)
    print(f"{kind}+: {len(rows)} passing programs of the {len(slow)} slow tasks", flush=True)
    for processes in (0, PROCESSES):
        with busy(processes):
            for title, way in (("evalplus 0.3.1", evaluate_by_evalplus), ("this judge", evaluate_here)):
                found = [each for samples in way(kind, data, samples).values() for each in samples]
                failed = sum((each["base_status"], each["plus_status"]) != ("pass", "pass") for each in found)
                print(f"  {processes:2} endless loops, {title:15} {failed} do not pass", flush=True)


if __name__ == "__main__":
    run_benchmark(main)
