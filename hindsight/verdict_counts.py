"""How many answers of each problem are correct: of a checked run folder, or of a result file of evalplus.

A folder of 100,000 answers takes seconds to read, so what was found is kept in it, in `verdicts.json`, and read again
from there as long as no answer's file has changed (by names, sizes and times of change).

evalplus's file (Liu et al. 2023, github.com/evalplus/evalplus):

    {"eval": {"Mbpp/2": [{"solution": "...", "base_status": "pass", "plus_status": "fail"}, ...], ...}}
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hindsight import records
from hindsight.mask import Mask
from hindsight.processes import in_processes
from hindsight.runs import converted_files, raw_folder
from hindsight.settings import UserError

CACHE = "verdicts.json"
CHUNK, FEW = 256, 2000  # answers that a process gets at once; answers for which no other process is started
COUNTED = ("samples", "correct", "unconverted", "cut_off", "not_judged")
UNJUDGED = "without a verdict"
STATUSES = ("plus", "base")

Files = dict[tuple[int, int], Path]


@dataclass(frozen=True)
class VerdictCounts:
    """A run's answers, problem by problem.

    questions: [p] ids as text; counts: [p, 5], the COUNTED of each: answers whose verdict counts, correct ones among
    them, those of them that could not be converted (wrong), all that were cut off by length, and those that step 3
    could not judge, which are not in `samples`. left_out: what the mask leaves out, in words. broken: a sentence each.
    """

    questions: tuple[str, ...]
    counts: np.ndarray
    left_out: str = ""
    broken: tuple[str, ...] = ()

    def of(self, name: str) -> np.ndarray:
        """One of COUNTED, [p]."""
        return self.counts[:, COUNTED.index(name)]


def count_folder(folder: Path, mask: Mask, workers: int = 0) -> VerdictCounts:
    """The verdicts of a run folder; an answer that was sampled but not converted is wrong.

    Raises UserError when an answer has no verdict, as it has before step 3: it would else be counted as wrong.
    """
    converted = converted_files(folder)
    sampled = {**records.list_files(raw_folder(folder), "sample"), **converted}
    mask.require_same(folder)
    problems, broken = _read_folder(folder, sampled, workers)
    kept = [question for question in sorted(problems) if question not in mask.reasons]
    if unjudged := sum(problems[question][UNJUDGED] for question in kept):
        answers = sum(key[0] not in mask.reasons for key in converted)
        raise UserError(
            f"{unjudged} of {answers} answers in {folder} have no verdict; run check_converted_samples.py on it"
        )
    left_out = mask.describe(sampled) if mask.path else ""
    if not kept:
        raise UserError(f"{folder} has no answer to count" + f" ({left_out})" * bool(left_out))
    counts = np.array([[problems[question][name] for name in COUNTED] for question in kept])
    return VerdictCounts(tuple(map(str, kept)), counts, left_out, tuple(broken))


def count_evalplus(path: Path, status: str) -> VerdictCounts:
    """The verdicts in a result file of evalplus, by `plus_status` or `base_status`. Raises UserError for another."""
    try:
        tasks = json.loads(path.read_bytes())["eval"]
        counts = [
            [len(samples), sum(sample[f"{status}_status"] == "pass" for sample in samples), 0, 0, 0]
            for samples in tasks.values()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no result file of evalplus with a {status}_status ({error!r})") from None
    if not counts:
        raise UserError(f"{path} holds no task")
    return VerdictCounts(tuple(tasks), np.array(counts))


def _read_folder(folder: Path, sampled: Files, workers: int) -> tuple[dict[int, Counter], list[str]]:
    """The COUNTED of each problem, and what has no verdict; from the cache where it holds."""
    cache, digest = folder / CACHE, _digest(sampled)
    try:
        known = records.read_record(cache, ("digest", "problems")) if cache.exists() else {}
    except records.BrokenFile:
        known = {}
    if known.get("digest") == digest:
        return {int(question): Counter(counts) for question, counts in known["problems"].items()}, []
    problems: dict[int, Counter] = {question: Counter() for question, _ in sampled}
    broken: list[str] = []
    everything = iter(sampled.items())
    chunks: Iterator[list] = iter(lambda: list(islice(everything, CHUNK)), [])
    workers = 1 if len(sampled) <= FEW else workers or os.cpu_count() or 1
    with tqdm(total=len(sampled), desc=str(folder), unit="answer", leave=False) as bar:
        for found, sentences in in_processes(_count, chunks, workers):
            for question, counts in found.items():
                problems[question].update(counts)
                bar.update(counts["files"])
            broken += sentences
    if not broken and not any(counts[UNJUDGED] for counts in problems.values()):
        _remember(cache, digest, problems)
    return problems, broken


def _count(chunk: list[tuple[tuple[int, int], Path]]) -> tuple[dict[int, Counter], list[str]]:
    """The COUNTED of some answers by question, and what is wrong with files that are not whole."""
    found: dict[int, Counter] = {}
    broken: list[str] = []
    for (question, _), path in chunk:
        counts = found.setdefault(question, Counter())
        counts["files"] += 1
        try:
            record = records.read_record(path)
        except records.BrokenFile as error:
            broken.append(str(error))
            continue
        counts["cut_off"] += record.get("finish_reason") == "length"
        counts.update(_verdict(record, path.name.startswith("converted_")))
    return found, broken


def _verdict(record: dict[str, Any], converted: bool) -> list[str]:
    """What an answer counts as."""
    if not converted:
        return ["samples", "unconverted"]
    if "correctness" not in record:
        return [UNJUDGED]
    if record["correctness"] is None:
        return ["not_judged"]
    return ["samples"] + ["correct"] * bool(record["correctness"])


def _digest(files: Files) -> str:
    """A digest of the names, sizes and times of change of files."""
    state = hashlib.sha256()
    for path in files.values():
        stat = path.stat()
        state.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return f"sha256:{state.hexdigest()}"


def _remember(cache: Path, digest: str, problems: dict[int, Counter]) -> None:
    kept = {str(question): {name: counts[name] for name in COUNTED} for question, counts in problems.items()}
    try:
        records.write_json(cache, {"digest": digest, "problems": kept})
    except PermissionError:
        return  # a folder of somebody else: it is read again next time
