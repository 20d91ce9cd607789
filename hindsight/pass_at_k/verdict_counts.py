"""How many answers of each problem are correct in a checked run folder.

A folder of 100,000 answers takes seconds to read, so what was found is kept in it, in `verdicts.json`, and read again
from there as long as no answer's file has changed (by names, sizes and times of change).
"""

# Paths are texts here: an object for each of 600,000 files takes seconds.
# ruff: noqa: PTH116, PTH208

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from hindsight.errors import BrokenFile, UserError
from hindsight.files import records
from hindsight.files.masks import Mask
from hindsight.files.runs import raw_folder, require_converted
from hindsight.files.worker_processes import in_processes
from hindsight.problem_sets.problems import problem_hash

CACHE = "verdicts.json"
CHUNK, FEW = 256, 2000  # answers that a process gets at once; answers for which no other process is started
COUNTED = ("samples", "correct", "unconverted", "no_code", "cut_off", "not_judged")
NO_CODE = "no code"  # the judge's reason (SkyThought/taco.py)
UNJUDGED = "without a verdict"
KEPT = ("files", UNJUDGED, *COUNTED)
ANSWER = re.compile(r"(?:converted_)?question_(\d+)_sample_\d+\.json")

Files = tuple[str, list[str]]  # a folder and names in it


class Metadata(msgspec.Struct):
    """What tells which problem an answer is to."""

    question: str | None = None
    starter_code: str | None = None


class Verdict(msgspec.Struct):
    """What is read of an answer's file; the rest of it is only passed over, which takes a fifth of the time."""

    finish_reason: str | None = None
    correctness: bool | msgspec.UnsetType | None = msgspec.UNSET
    correctness_reason: str | None = None
    metadata: Metadata | None = None


_decode = msgspec.json.Decoder(Verdict).decode


class ProblemCounts:
    """A problem's answers: its files, those without a verdict, the COUNTED, and the hashes of the problem's text."""

    def __init__(self):
        self.counts = dict.fromkeys(KEPT, 0)
        self.texts: set[str] = set()

    def add(self, other: "ProblemCounts") -> None:
        for name, number in other.counts.items():
            self.counts[name] += number
        self.texts |= other.texts


@dataclass(frozen=True)
class VerdictCounts:
    """A run's answers, problem by problem.

    questions: [p] ids as text; counts: [p, 6], the COUNTED of each: answers whose verdict counts, correct ones among
    them, those of them that could not be converted and those that were and hold no code (both wrong), all that were cut
    off by length, and those that step 3 could not judge, which are not in `samples`. texts: [p] hashes of the problems'
    texts, "" where they are not known. left_out: what the mask leaves out, in words. broken: a sentence each.
    """

    questions: tuple[str, ...]
    counts: np.ndarray
    texts: tuple[str, ...]
    left_out: str = ""
    broken: tuple[str, ...] = ()

    def of(self, name: str) -> np.ndarray:
        """One of COUNTED, [p]."""
        return self.counts[:, COUNTED.index(name)]


def count_folder(folder: Path, mask: Mask, workers: int = 0) -> VerdictCounts:
    """The verdicts of a run folder; an answer that was sampled but not converted is wrong.

    Raises UserError when an answer has no verdict, as it has before step 3: it would else be counted as wrong; and
    when answers of one question id are to several problems.
    """
    mask.require_same(folder)
    problems, broken = _read_folder(folder, _list_answers(folder), workers)
    kept = [question for question in sorted(problems) if question not in mask.reasons]
    totals = {name: sum(problems[question].counts[name] for question in kept) for name in KEPT}
    if unjudged := totals[UNJUDGED]:
        raise UserError(
            f"{unjudged} of {totals['files'] - totals['unconverted']} answers in {folder} have no verdict; run "
            "check_converted_samples.py on it"
        )
    if several := [question for question in kept if len(problems[question].texts) > 1]:
        raise UserError(f"{folder} has answers of several problem sets: question {several[0]} is not one problem")
    every = ((question, sample) for question in problems for sample in range(problems[question].counts["files"]))
    left_out = mask.describe(every) if mask.path else ""
    if not kept:
        raise UserError(f"{folder} has no answer to count" + f" ({left_out})" * bool(left_out))
    counts = np.array([[problems[question].counts[name] for name in COUNTED] for question in kept])
    texts = tuple("".join(problems[question].texts) for question in kept)
    return VerdictCounts(tuple(map(str, kept)), counts, texts, left_out, tuple(broken))


def _list_answers(folder: Path) -> list[Files]:
    """The converted answers, and those raw ones that were not converted."""
    raw = raw_folder(folder)
    names = os.listdir(folder) if folder.is_dir() else []
    converted = {name for name in names if _is_converted(name)}
    if not converted:
        require_converted(folder)
    others = {name for name in (names if raw == folder else os.listdir(raw)) if name.startswith("question_")}
    others.difference_update(name.removeprefix("converted_") for name in converted)
    return [(str(folder), sorted(converted)), (str(raw), sorted(others))]


def _read_folder(folder: Path, files: list[Files], workers: int) -> tuple[dict[int, ProblemCounts], list[str]]:
    """Each problem's answers, and what is wrong with files that are not whole; from the cache where it holds."""
    cache = folder / CACHE
    if known := _recall(cache, files):
        return known, []
    problems: dict[int, ProblemCounts] = {}
    broken: list[str] = []
    state, number = hashlib.sha256(), sum(len(names) for _, names in files)
    workers = 1 if number <= FEW else workers or os.cpu_count() or 1
    with tqdm(total=number, desc=str(folder), unit="answer", leave=False) as bar:
        for found, sentences, digest in in_processes(_count, _chunks(files), workers):
            for question, problem in found.items():
                problems.setdefault(question, ProblemCounts()).add(problem)
                bar.update(problem.counts["files"])
            broken += sentences
            state.update(digest)
    if not broken and not any(problem.counts[UNJUDGED] for problem in problems.values()):
        _remember(cache, state.hexdigest(), problems)
    return problems, broken


def _chunks(files: list[Files]) -> Iterator[Files]:
    """The same, CHUNK files at a time."""
    for folder, names in files:
        for start in range(0, len(names), CHUNK):
            yield folder, names[start : start + CHUNK]


def _count(chunk: Files) -> tuple[dict[int, ProblemCounts], list[str], bytes]:
    """Some answers by question, what is wrong with files that are not whole, and the files' digest."""
    found: dict[int, ProblemCounts] = {}
    broken: list[str] = []
    states: list[str] = []
    for name in chunk[1]:
        if not (match := ANSWER.fullmatch(name)):
            continue  # another file's name, as that of an answer with its embeddings
        question, path = int(match[1]), f"{chunk[0]}/{name}"
        if question not in found:
            found[question] = ProblemCounts()
        problem = found[question]
        problem.counts["files"] += 1
        try:
            verdict = _read_verdict(path, states)
        except BrokenFile as error:
            broken.append(str(error))
            continue
        problem.counts["cut_off"] += verdict.finish_reason == "length"
        for name_of_count in _counts_as(verdict, _is_converted(name)):
            problem.counts[name_of_count] += 1
        if (metadata := verdict.metadata) and metadata.question:
            problem.texts.add(_hash(metadata.question, metadata.starter_code))
    return found, broken, _digest(states)


def _read_verdict(path: str, states: list[str]) -> Verdict:
    """An answer's verdict; the file's state is added to `states`.

    Raises BrokenFile where `records.read_record` does, and for a verdict that is none.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        stat = os.fstat(file)
        content = os.read(file, stat.st_size)
    finally:
        os.close(file)
    states.append(_state(path, stat))
    try:
        return _decode(content)
    except (msgspec.MsgspecError, ValueError):
        record = records.read_record(Path(path))  # says what is wrong; or is what JSON's own reader takes as well
    try:
        return msgspec.convert(record, Verdict)
    except msgspec.ValidationError as error:
        raise BrokenFile(f"{path} is no answer of a run ({error})") from None


def _counts_as(verdict: Verdict, converted: bool) -> tuple[str, ...]:
    """What an answer counts as."""
    if not converted:
        return "samples", "unconverted"
    if verdict.correctness is msgspec.UNSET:
        return (UNJUDGED,)
    if verdict.correctness is None:
        return ("not_judged",)
    if verdict.correctness:
        return "samples", "correct"
    return ("samples", "no_code") if verdict.correctness_reason == NO_CODE else ("samples",)


def _is_converted(name: str) -> bool:
    return name.startswith("converted_question_")


@lru_cache(1024)
def _hash(question: str, starter_code: str | None) -> str:
    return f"{problem_hash({'question': question, 'starter_code': starter_code}):016x}"


def _state(path: str, stat: os.stat_result) -> str:
    return f"{path[path.rindex('/') :]} {stat.st_size} {stat.st_mtime_ns}"


def _digest(states: list[str]) -> bytes:
    """A digest of the names, sizes and times of change of a chunk's files."""
    return hashlib.sha256("\n".join(states).encode()).digest()


def _recall(cache: Path, files: list[Files]) -> dict[int, ProblemCounts]:
    """What `_remember` kept of the same files, else nothing."""
    problems: dict[int, ProblemCounts] = {}
    if not cache.exists():
        return problems
    state = hashlib.sha256()
    for folder, names in _chunks(files):
        paths = [f"{folder}/{name}" for name in names if ANSWER.fullmatch(name)]
        state.update(_digest([_state(path, os.stat(path)) for path in paths]))
    try:
        known = records.read_record(cache, ("digest", "problems"))
        for question, kept in known["problems"].items() if known["digest"] == state.hexdigest() else ():
            problems[int(question)] = problem = ProblemCounts()
            problem.texts = set(kept.pop("texts"))
            problem.counts = {name: kept[name] for name in KEPT}
    except (BrokenFile, KeyError):  # cut off, or of an earlier version
        return {}
    return problems


def _remember(cache: Path, digest: str, problems: dict[int, ProblemCounts]) -> None:
    kept = {str(question): {**problem.counts, "texts": sorted(problem.texts)} for question, problem in problems.items()}
    try:
        records.write_json(cache, {"digest": digest, "problems": kept})
    except PermissionError:
        return  # a folder of somebody else: it is read again next time
