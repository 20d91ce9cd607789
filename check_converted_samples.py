"""Step 3: runs the program of every converted answer on its problem's tests and adds the verdict to its file.

Reads converted_question_*_sample_*.json and the problems they came from; adds `correctness` (true, false, or null when
it could not be judged), `correctness_reason` (empty when correct) and `test_results`. Files with a verdict are left
alone, so a run that was killed goes on where it was.

    python check_converted_samples.py --input_dir runs/lab/instruct
"""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tqdm import tqdm

from hindsight import records
from hindsight.problems import Problem, TestLookup
from hindsight.runs import converted_files, open_step
from hindsight.settings import Settings, run_script
from SkyThought.taco import TACOTaskHandler

INPUT_DIR = "runs/lab/instruct"  # the run folder; verdicts are written into its files
PROBLEMS = ""                    # where the tests are: lab, a file or a Hub name; empty: where each answer says
TIMEOUT = 4.0                    # CPU seconds a program may take for one test; TACO's: 4
MEMORY_MB = 4096                 # memory of a program, in MiB
WORKERS = 0                      # programs at once; 0: one a core
ALLOW_OTHER_SETTINGS = False     # go on in a folder that was judged with other limits

SAME = ("problems", "timeout", "memory_mb")
KEYS = ("converted_text", "metadata")
AHEAD = 4                        # answers read ahead of the judges, a worker


def unjudged(
    files: dict[tuple[int, int], Path], broken: list[str], verdicts: Counter
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The records without a verdict; the verdicts of the others are counted."""
    for path, record in records.read_records(files, KEYS, broken):
        if record.get("correctness") is None:
            yield path, record
        else:
            verdicts[verdict_name(record)] += 1


def judge(path: Path, record: dict[str, Any], problem: Problem, handlers: SimpleQueue) -> str:
    """Judges one answer with a handler that is free, writes the verdict into its file, and returns its name."""
    handler = handlers.get()
    try:
        result = handler.update_results(problem, record["converted_text"])
    finally:
        handlers.put(handler)
    record["correctness"] = result["correctness"]
    record["correctness_reason"] = result["reason"]
    record["test_results"] = result["tests"]
    records.write_json(path, record)
    return verdict_name(record)


def verdict_name(record: dict[str, Any]) -> str:
    """`correct`, or the reason why it is not."""
    return "correct" if record["correctness"] else record.get("correctness_reason") or "incorrect"


def judge_all(files: dict[tuple[int, int], Path], settings: Settings, broken: list[str]) -> Counter:
    """Judges every answer without a verdict, several at once; the number of answers by verdict, old ones included."""
    verdicts, lookup = Counter(), TestLookup(settings.problems)
    workers = settings.workers or os.cpu_count() or 1
    all_handlers = [TACOTaskHandler(settings.timeout, settings.memory_mb) for _ in range(workers)]
    handlers: SimpleQueue = SimpleQueue()
    for handler in all_handlers:
        handlers.put(handler)
    running: set[Future] = set()
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(files), unit="answer") as bar:
        try:
            for path, record in unjudged(files, broken, verdicts):
                running.add(pool.submit(judge, path, record, lookup.problem(record), handlers))
                if len(running) >= AHEAD * workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    verdicts.update(future.result() for future in done)
                bar.update(verdicts.total() - bar.n)
            for future in running:
                verdicts[future.result()] += 1
                bar.update(verdicts.total() - bar.n)
        finally:
            pool.shutdown(cancel_futures=True)
            for handler in all_handlers:
                handler.close()
    return verdicts


def main(settings: Settings) -> int:
    folder = Path(settings.input_dir)
    files = converted_files(folder)
    run = open_step(folder, Path(__file__).name, settings, SAME)
    broken: list[str] = []
    verdicts = judge_all(files, settings, broken)
    run.close(verdicts=dict(verdicts), broken=len(broken))
    for verdict, count in verdicts.most_common():
        print(f"{count:6d}  {verdict}")
    for sentence in broken:
        print(sentence)
    judged = sum(count for verdict, count in verdicts.items() if not verdict.startswith("not judged"))
    print(f"{verdicts['correct']} of {judged} correct in {folder}; {len(files) - judged} not judged")
    return 1 if judged < len(files) else 0


if __name__ == "__main__":
    run_script(main, globals())
