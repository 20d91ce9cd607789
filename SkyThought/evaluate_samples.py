"""Judges evalplus's sample files, and writes the result file that `evalplus.evaluate` would write.

Reads a JSONL file of samples, {"task_id": "HumanEval/0", "solution": "def ..."} or with a `completion` of the prompt,
or a folder HumanEval_0/0.py, ...; writes samples_eval_results.json beside it (in a folder: eval_results.json), with
both statuses of each sample. After a kill the script resumes with whatever is missing. `evalplus_rules` has the rules.

    python SkyThought/evaluate_samples.py --problems humanevalplus --samples samples.jsonl
"""

import gzip
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules next to a script, and ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from hindsight.errors import UserError, require
from hindsight.files.records import write_json
from hindsight.files.verdicts import NOT_JUDGED
from hindsight.pass_at_k.estimators import pass_at_k
from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.selection import load_problems
from hindsight.settings import Settings, run_script
from SkyThought.judges import JudgeOptions, Judges, ProblemToJudge, judge_all
from SkyThought.local_judges import open_judges
from SkyThought.problem_tests import read_tests

# fmt: off
PROBLEMS = "humanevalplus"  # humanevalplus, mbppplus, or humaneval, mbpp for the base tests only
PROBLEMS_FILE = ""          # a local file of the set, as evalplus's releases have it; empty: found by PROBLEMS
SAMPLES = "samples.jsonl"   # a JSONL file, plain or gzipped, or a folder
LEAVE_OUT = False           # leave out samples of unknown tasks and tasks without samples, instead of refusing them
MEMORY_MB = 4096            # memory of a program, in MiB
WORKERS = 0                 # programs at once; 0: one per core
SANDBOX = ["namespaces", "landlock", "seccomp"]  # layers that contain the programs, each where the kernel allows it
UNSAFE = False              # run the programs even if the layers do not contain them
RAY_ADDRESS = ""            # Ray cluster to judge on: host:port, or auto for this machine's; empty: no cluster
# fmt: on

KS = (1, 10, 100)
STATUSES = ("base_status", "plus_status")


@dataclass(frozen=True)
class Sample:
    """A program for a task: the `number`-th of its task."""

    task_id: str
    number: int
    solution: str


def read_samples(path: Path, prompts: dict[str, str]) -> list[Sample]:
    """The samples of a file or folder, task by task. `prompts`: of the known tasks, which completions continue.

    Raises UserError for anything that is not a sample.
    """
    rows = _rows_of_folder(path) if path.is_dir() else _rows_of_file(path)
    samples, counts = [], Counter()
    for place, row in rows:
        task, solution = row.get("task_id"), row.get("solution")
        if isinstance(row.get("completion"), str) and solution is None:
            solution = prompts.get(str(task), "") + row["completion"]
        good = isinstance(task, str) and isinstance(solution, str)
        require(good, f"{place} is not a sample: it needs a task_id and a solution or a completion, all texts")
        samples.append(Sample(str(task), counts[task], str(solution)))
        counts[task] += 1
    require(bool(samples), f"{path} holds no sample")
    return samples


def _rows_of_file(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    require(isinstance(row, dict), f"line {number} of {path} is not a JSON object")
                    yield f"line {number} of {path}", row
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSONL: {error}") from None


def _rows_of_folder(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in sorted(each for each in path.iterdir() if each.is_dir()):
        files = [file for file in folder.glob("*.py") if file.stem.isdigit()]
        for file in sorted(files, key=lambda file: int(file.stem)):
            row = {"task_id": folder.name.replace("_", "/"), "solution": file.read_text("utf-8", errors="replace")}
            yield str(file), row


def check_complete(samples: list[Sample], tasks: Iterable[str], leave_out: bool) -> list[Sample]:
    """The samples of known tasks. Raises UserError for other tasks and tasks without a sample, unless LEAVE_OUT."""
    known, given = set(tasks), {sample.task_id for sample in samples}
    unknown, without = sorted(given - known), sorted(known - given)
    for what, names in (("samples are of tasks that the set lacks", unknown), ("tasks have no sample", without)):
        if names:
            sentence = f"{len(names)} {what}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            require(leave_out, f"{sentence}; to ignore them, give --leave_out true")
            print(sentence)
    samples = [sample for sample in samples if sample.task_id in known]
    require(bool(samples), "no sample is of a task in the set")
    return samples


class KeptVerdicts:
    """The verdicts so far, in a file beside the samples, one per line, so that a killed run resumes."""

    def __init__(self, path: Path):
        self.path, self.verdicts = path, {}
        self._digests: dict[str, str] = {}  # of the tests, by task
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    key, verdict = json.loads(line)
                except ValueError:  # the last line of a killed run
                    continue
                self.verdicts[key] = verdict
        self._file = path.open("a", encoding="utf-8")

    def key(self, sample: Sample, task: Problem) -> str:
        """A digest of a task's tests and a program."""
        if sample.task_id not in self._digests:
            self._digests[sample.task_id] = hashlib.sha256(json.dumps(task["input_output"]).encode()).hexdigest()
        text = f"{self._digests[sample.task_id]}\0{sample.solution}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def add(self, key: str, verdict: dict[str, Any]) -> None:
        """Keep a verdict."""
        self.verdicts[key] = verdict
        self._file.write(json.dumps([key, verdict]) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def judge_samples(samples: list[Sample], tasks: dict[str, Problem], kept: KeptVerdicts, judges: Judges) -> None:
    """Judge what has no verdict yet, task by task."""

    def programs() -> Iterator[tuple[str, ProblemToJudge, str]]:
        task, problem = None, None
        for sample, key in missing:
            if sample.task_id != task or problem is None:
                task, row = sample.task_id, tasks[sample.task_id]
                problem = ProblemToJudge(row["question_id"], read_tests(row["input_output"]))
            yield key, problem, sample.solution

    ordered = sorted(samples, key=lambda sample: sample.task_id)
    keyed = [(sample, kept.key(sample, tasks[sample.task_id])) for sample in ordered]
    missing = [(sample, key) for sample, key in keyed if key not in kept.verdicts]
    for key, verdict in tqdm(judge_all(judges, programs()), total=len(missing), unit="sample"):
        kept.add(key, dict(verdict))


def result_of(sample: Sample, task: Problem, verdict: dict[str, Any]) -> dict[str, Any]:
    """A sample's entry in the result file."""
    tests = task["input_output"] if isinstance(task["input_output"], dict) else json.loads(task["input_output"])
    failed = {group: [] for group in ("base", "plus")}
    for result in verdict["tests"]:
        if "group" in result:
            failed[result["group"]].append(tests[f"{result['group']}_input"][result["index"]])
    return {
        "task_id": sample.task_id,
        "solution": sample.solution,
        "base_status": verdict["base_status"],
        "plus_status": verdict.get("plus_status"),
        "base_fail_tests": failed["base"],
        "plus_fail_tests": failed["plus"],
    }


def print_pass_at_k(results: dict[str, list[dict[str, Any]]], name: str) -> None:
    """Prints pass@k for the base tests and, where they were run, for base and plus."""
    fewest = min(map(len, results.values()))
    for what, needed in (("base tests", STATUSES[:1]), ("base + extra tests", STATUSES)):
        if any(each["plus_status"] is None for samples in results.values() for each in samples) and len(needed) == 2:
            continue
        print(f"{name} ({what})")
        counts = [(len(each), sum(all(s[key] == "pass" for key in needed) for s in each)) for each in results.values()]
        for k in (k for k in KS if k <= fewest):
            print(f"pass@{k}:\t{sum(pass_at_k(n, c, k) for n, c in counts) / len(counts):.3f}")


def main(settings: Settings) -> int:
    path = Path(settings.samples)
    require(path.exists(), f"there is no file or folder of samples {path}")
    source = f"{settings.problems}:{settings.problems_file}" if settings.problems_file else settings.problems
    rows = load_problems(source)
    tasks = {row["task_id"]: row for row in rows if read_tests(row["input_output"]).task}
    require(len(tasks) == len(rows), f"{source} is not a set in evalplus's form")
    prompts = {name: row["prompt"] for name, row in tasks.items()}
    samples = check_complete(read_samples(path, prompts), tasks, settings.leave_out)
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    output = path / "eval_results.json" if path.is_dir() else path.with_name(f"{name}_eval_results.json")
    kept = KeptVerdicts(output.with_suffix(".verdicts"))
    options = settings.pick(JudgeOptions, timeout=4.0)
    with closing(open_judges(options, settings.workers, settings.ray_address)) as judges, closing(kept):
        print(judges.protection, flush=True)
        judge_samples(samples, tasks, kept, judges)
    results, failed = defaultdict(list), Counter()
    for sample in samples:
        verdict = kept.verdicts[kept.key(sample, tasks[sample.task_id])]
        if verdict["correctness"] is None:
            failed[f"{sample.task_id}: {verdict['reason'].removeprefix(f'{NOT_JUDGED}: ')}"] += 1
        else:
            results[sample.task_id].append(result_of(sample, tasks[sample.task_id], verdict))
    for reason, count in failed.items():
        print(f"{count} samples not judged: {reason}")
    require(bool(results), "no sample could be judged")
    digest = rows[0]["origin"].get("digest") or rows[0]["origin"].get("revision")
    write_json(output, {"date": f"{datetime.now():%Y-%m-%d %H:%M}", "hash": digest, "eval": results})
    if not failed:
        kept.path.unlink()
    print_pass_at_k(results, settings.problems)
    print(f"{sum(map(len, results.values()))} samples of {len(results)} tasks: {output}")
    return 1 if failed else 0


if __name__ == "__main__":
    run_script(main, globals())
