"""The judge's wall time per test against a new interpreter per test, two at a time; how it scales; its memory.

Programs are the real ones of `shared/taco_real` where that lies beside the repository, otherwise the lab's reference
solutions; those that run into the time limit are left out. A new interpreter imports and defines what the judge's own
prelude does, then runs the program on one test. Both run the same tests (up to a program's first failing one), in
turns, batch by batch; the ratio is that of the sums. Programs that compute for long are timed separately: they take as
long in any judge, and three of them would make up most of the sum.

    python -m benchmarks.judging
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks import run_benchmark
from hindsight.files.verdicts import TIME_LIMIT
from hindsight.problem_sets.selection import load_problems
from hindsight.text.program_choice import UNKNOWN_TARGET, find_program
from SkyThought.problem_tests import ProblemTests, read_tests
from SkyThought.sandbox import prelude
from SkyThought.taco import TACOTaskHandler

TACO_REAL = Path(__file__).resolve().parents[2] / "shared" / "taco_real"
EVERY = 3  # every third of the real programs is timed
LONG_SECONDS = 0.1  # CPU time of a test from which on a program is timed separately
BATCHES = 6
WORKERS = 2
ROUNDS = 5  # of each measurement of how the judge scales
SUM = "numbers = map(int, input().split())\nprint(sum(numbers))"

Item = tuple[str, ProblemTests]


def real_items() -> list[Item]:
    """Programs with their problems' tests, of the real data."""
    items = []
    for kind in ("stdin", "call"):
        rows = (json.loads(line) for line in (TACO_REAL / f"{kind}_problems.jsonl").read_text().splitlines())
        problems = {row["task_id"]: read_tests(row["input_output"]) for row in rows}
        samples = [json.loads(line) for line in (TACO_REAL / f"{kind}_samples.jsonl").read_text().splitlines()]
        items += [
            (find_program(sample["converted_text"], UNKNOWN_TARGET), problems[sample["question_id"]])
            for sample in samples
        ]
    return [(source, tests) for source, tests in items if source and source.strip() and not tests.fault]


def lab_items() -> list[Item]:
    """The lab's reference solutions with their tests."""
    problems = load_problems("lab", "test")
    items = [(json.loads(row["solutions"])[0], read_tests(row["input_output"])) for row in problems]
    return [(source, tests) for source, tests in items if not tests.fault]


def judge_all(items: Iterable[Item], judges: list[TACOTaskHandler]) -> list[dict[str, Any]]:
    """The verdicts, as many at a time as there are judges."""
    free: SimpleQueue = SimpleQueue()
    for judge in judges:
        free.put(judge)

    def judge_one(item: Item) -> dict[str, Any]:
        judge = free.get()
        try:
            return judge.judge(*item)
        finally:
            free.put(judge)

    with ThreadPoolExecutor(len(judges)) as pool:
        return list(pool.map(judge_one, items))


def prelude_text() -> str:
    """The judge's prelude as a program's first lines."""
    modules = f"{prelude.MODULES} {prelude.MORE_MODULES}".split()
    lines = [f"import {', '.join(modules)}", "import numpy as np"]
    members = (prelude.NAMES | prelude.MORE_NAMES).items()
    return "\n".join([*lines, *(f"from {module} import {', '.join(text.split())}" for module, text in members), ""])


def run_in_new_interpreters(item: Item, count: int, folder: Path) -> None:
    """A program's first `count` tests, each in a separate interpreter."""
    source, tests = item
    path = folder / f"{threading.get_ident()}.py"
    if tests.function is not None:
        owner = "Solution()." if "class Solution" in source else ""
        call = f"\nimport sys, json\nprint(json.dumps({owner}{tests.function}(*json.load(sys.stdin))))\n"
        source += call
    path.write_text(prelude_text() + source, errors="replace")
    for test in tests.inputs[:count]:
        text = test if isinstance(test, bytes) else json.dumps(test).encode()
        subprocess.run([sys.executable, path], input=text, capture_output=True, check=False)


def seconds(work: Callable[[], Any]) -> float:
    """Wall seconds that some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compare() -> None:
    """Prints the wall time per test of both ways, and the ratio: for quick programs, and for all."""
    real = TACO_REAL.is_dir()
    items = (real_items() if real else lab_items())[::EVERY]
    judges = [TACOTaskHandler() for _ in range(WORKERS)]
    results = judge_all(items, judges)  # also starts the helper processes
    pairs = [(item, result["tests"]) for item, result in zip(items, results, strict=True)]
    pairs = [(item, tests) for item, tests in pairs if tests and tests[-1]["reason"] != TIME_LIMIT]
    long = [pair for pair in pairs if max(test["seconds"] for test in pair[1]) > LONG_SECONDS]
    quick = [pair for pair in pairs if pair not in long]
    what = "real programs" if real else "the lab's reference solutions"
    print(f"judging: wall time per test, {WORKERS} at a time, {what}")
    new, old = _time_both(quick, judges)
    count = sum(len(tests) for _, tests in quick)
    print(f"  {len(quick)} programs, {count} tests")
    print(f"    a new interpreter per test{1000 * old / count:7.2f} ms")
    print(f"    this judge                {1000 * new / count:7.2f} ms")
    print(f"    ratio                     {old / new:7.1f}")
    more = _time_both(long, judges)
    print(f"  with {len(long)} more that compute for longer than {LONG_SECONDS} s in a test, whoever runs them")
    print(f"    ratio                     {(old + more[1]) / (new + more[0]):7.1f}")
    for judge in judges:
        judge.close()


def _time_both(pairs: list[tuple[Item, list[dict]]], judges: list[TACOTaskHandler]) -> tuple[float, float]:
    """Wall seconds of the judge, and of new interpreters, for programs up to their first failing tests."""
    new = old = 0.0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        run = partial(run_in_new_interpreters, folder=Path(folder))
        for batch in range(min(BATCHES, len(pairs))):
            some = [(item, len(tests)) for item, tests in pairs[batch::BATCHES]]
            new += seconds(partial(judge_all, [item for item, _ in some], judges))
            old += seconds(lambda some=some: list(pool.map(run, *zip(*some, strict=True))))
    return new, old


def scale() -> None:
    """Prints the wall time per test by the number of workers and of tests, and the memory of eight workers."""
    print(f"judging: one program, wall time per test, median of {ROUNDS}")
    for workers in (1, 2, 4):
        judges = [TACOTaskHandler() for _ in range(workers)]
        figures = []
        for tests in (10, 100, 1000):
            problem = ProblemTests(None, [b"1 2 3 4\n"] * tests, [b"10\n"] * tests)
            items = [(SUM, problem)] * (workers * max(1, 200 // tests))
            judge_all(items, judges)
            times = [seconds(partial(judge_all, items, judges)) for _ in range(ROUNDS)]
            figures.append(f"{tests} tests {1000 * statistics.median(times) / len(items) / tests:5.2f} ms")
        print(f"  {workers} workers: {', '.join(figures)}")
        for judge in judges:
            judge.close()
    judges = [TACOTaskHandler() for _ in range(8)]
    judge_all([(SUM, problem), (f"import numpy\n{SUM}", problem)] * 8, judges)
    memory = sum(map(proportional_memory, [os.getpid(), *below(os.getpid())]))
    print(f"  memory of 8 workers, this process and all their helpers: {memory >> 20} MiB (PSS)")
    for judge in judges:
        judge.close()


def below(pid: int) -> list[int]:
    """The processes a process started, and those they did."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *below(child)]
    return found


def proportional_memory(pid: int) -> int:
    """A process's memory in bytes, with shared parts divided by the number of sharers; 0 if it cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def main() -> None:
    compare()
    scale()


if __name__ == "__main__":
    run_benchmark(main)
