"""Counts the verdicts of a checked run folder, in several processes, and keeps the counts in its `verdicts.json`.

The kept counts are valid as long as no answer file has changed, by name, size and modification time; for EvalPlus's
sets both base and plus are counted:

    {"digest": "5f7c...", "problems": {"0": {"files": 10, "cut_off": 1, "outcomes": {"correct": 3, "wrong": 7},
                                             "texts": ["00c4..."]}, ...}}
"""

# Paths are texts here: making an object for each of 600,000 files takes seconds.
# ruff: noqa: PTH116, PTH208

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import msgspec
from tqdm import tqdm

from hindsight.errors import BrokenFile, UserError
from hindsight.files.answer_files import INDEX, QUESTION, read_no_answers
from hindsight.files.masks import Mask
from hindsight.files.records import read_record, write_json
from hindsight.files.runs import existing_converted, raw_folder
from hindsight.files.verdicts import Outcome, outcome_of
from hindsight.files.worker_processes import in_processes
from hindsight.pass_at_k.evalplus_results import PASSED
from hindsight.pass_at_k.verdict_counts import ProblemCounts, VerdictCounts, tabulate
from hindsight.problem_sets.problems import problem_hash

CACHE = "verdicts.json"
CHUNK = 256  # answers that a process gets at once
FEW = 2000  # up to this many answers are read in this process
ANSWER = re.compile(rf"(?:converted_)?question_{QUESTION}_sample_{INDEX}\.json")

Files = tuple[str, list[str]]  # a folder and names in it


class Metadata(msgspec.Struct):
    """The parts of a problem that identify it."""

    question: str | None = None
    starter_code: str | None = None


class Verdict(msgspec.Struct):
    """The keys of an answer file that are decoded; skipping the others takes a fifth of the time of decoding them."""

    finish_reason: str | None = None
    correctness: bool | msgspec.UnsetType | None = msgspec.UNSET
    correctness_reason: str | None = None
    metadata: Metadata | None = None
    base_status: str | None = None
    plus_status: str | None = None

    def outcome(self, converted: bool, reading: str = "plus") -> Outcome:
        """What the answer counts as; to a task of EvalPlus, by one of `evalplus_results.READINGS`."""
        if self.correctness is msgspec.UNSET:
            return outcome_of(converted, False, None, None)
        status = {"base": self.base_status, "plus alone": self.plus_status}.get(reading)
        correctness = self.correctness if status is None else PASSED.get(status)
        return outcome_of(converted, True, correctness, self.correctness_reason)


_decode = msgspec.json.Decoder(Verdict).decode


def count_folder(folder: Path, mask: Mask, workers: int = 0, reading: str = "plus") -> VerdictCounts:
    """The verdicts of a run folder; an answer that was sampled but not converted is wrong.

    reading: which tests count in answers to EvalPlus's tasks, one of `evalplus_results.READINGS`.

    Raises UserError when an answer has no verdict because step 3 has not run, when one question id belongs to several
    problems, and when nothing is left to count.
    """
    mask.require_same(folder)
    problems, broken = _read_folder(folder, workers, reading)
    kept = {question: counts for question, counts in problems.items() if question not in mask.reasons}
    _require_verdicts(folder, list(kept.values()))
    if several := [question for question in sorted(kept) if len(kept[question].texts) > 1]:
        raise UserError(f"{folder} has answers of several problem sets: question {several[0]} is not one problem")
    answers = ((question, sample) for question, counts in problems.items() for sample in range(counts.files))
    left_out = mask.describe(answers) if mask.path else ""
    if not kept:
        raise UserError(f"{folder} has no answer to count" + f" ({left_out})" * bool(left_out))
    no_answer = sum(question in kept for question, _ in read_no_answers(folder))
    return replace(tabulate(kept, left_out, tuple(broken)), no_answer=no_answer)


def _require_verdicts(folder: Path, problems: list[ProblemCounts]) -> None:
    if unchecked := sum(counts.outcomes[Outcome.UNCHECKED] for counts in problems):
        converted = sum(counts.files - counts.outcomes[Outcome.NOT_CONVERTED] for counts in problems)
        raise UserError(
            f"{unchecked} of {converted} answers in {folder} have no verdict; run check_converted_samples.py on it"
        )


def _read_folder(folder: Path, workers: int, reading: str) -> tuple[dict[int, ProblemCounts], list[str]]:
    """Each problem's counts, from the cache where it holds, and one sentence per broken file."""
    files, cached = _list_answers(folder), reading == "plus"
    if (
        cached
        and (folder / CACHE).exists()
        and (known := _read_cache(folder, _digest(map(_chunk_digest, _chunks(files)))))
    ):
        return known, []
    problems: dict[int, ProblemCounts] = {}
    broken: list[str] = []
    digests: list[str] = []
    number = sum(len(names) for _, names in files)
    workers = 1 if number <= FEW else workers or os.cpu_count() or 1
    with tqdm(total=number, desc=str(folder), unit="answer", leave=False) as bar:
        for found, sentences, digest in in_processes(partial(_count, reading=reading), _chunks(files), workers):
            for question, counts in found.items():
                problems.setdefault(question, ProblemCounts()).add(counts)
                bar.update(counts.files)
            broken += sentences
            digests.append(digest)
    if cached and not broken and not any(counts.outcomes[Outcome.UNCHECKED] for counts in problems.values()):
        kept = {str(question): {**vars(each), "texts": sorted(each.texts)} for question, each in problems.items()}
        with suppress(OSError):  # where nothing can be written, the run is read again next time
            write_json(folder / CACHE, {"digest": _digest(digests), "problems": kept})
    return problems, broken


def _read_cache(folder: Path, digest: str) -> dict[int, ProblemCounts]:
    """The counts of each problem, if the folder's cache was written for the same digest, else none."""
    try:
        cache = read_record(folder / CACHE, ("digest", "problems"))
        return {
            int(question): ProblemCounts(
                kept["files"],
                kept["cut_off"],
                Counter({Outcome(name): number for name, number in kept["outcomes"].items()}),
                set(kept["texts"]),
            )
            for question, kept in (cache["problems"].items() if cache["digest"] == digest else ())
        }
    except (BrokenFile, KeyError, ValueError):  # cut off, or of an earlier version
        return {}


def _list_answers(folder: Path) -> list[Files]:
    """The converted answers, and those raw ones that were not converted."""
    raw = raw_folder(folder)
    names = os.listdir(folder) if folder.is_dir() else []
    converted = {name for name in names if _is_converted(name)}
    if not converted:
        existing_converted(folder)
    others = {name for name in (names if raw == folder else os.listdir(raw)) if name.startswith("question_")}
    others.difference_update(name.removeprefix("converted_") for name in converted)
    return [(str(folder), sorted(converted)), (str(raw), sorted(others))]


def _chunks(files: list[Files]) -> Iterator[Files]:
    """The same, CHUNK files at a time."""
    for folder, names in files:
        for start in range(0, len(names), CHUNK):
            yield folder, names[start : start + CHUNK]


def _count(chunk: Files, reading: str = "plus") -> tuple[dict[int, ProblemCounts], list[str], str]:
    """The counts of a chunk by question, one sentence per broken file, and the chunk's digest."""
    folder, names = chunk
    found: dict[int, ProblemCounts] = {}
    broken: list[str] = []
    states: list[str] = []
    for name in names:
        if not (match := ANSWER.fullmatch(name)):
            continue  # an answer with its embeddings, for example
        question = int(match[1])
        if question not in found:
            found[question] = ProblemCounts()
        counts = found[question]
        counts.files += 1
        try:
            verdict = _read_verdict(f"{folder}/{name}", states)
        except BrokenFile as error:
            broken.append(str(error))
            continue
        counts.cut_off += verdict.finish_reason == "length"
        counts.outcomes[verdict.outcome(_is_converted(name), reading)] += 1
        if (metadata := verdict.metadata) and metadata.question:
            counts.texts.add(_hash(metadata.question, metadata.starter_code))
    return found, broken, _digest(states)


def _read_verdict(path: str, states: list[str]) -> Verdict:
    """An answer's verdict; the file's state is added to `states`.

    Raises BrokenFile where `records.read_record` does, and for a verdict of another type.
    """
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            stat = os.fstat(file)
            content = os.read(file, stat.st_size)
        finally:
            os.close(file)
    except OSError as error:
        raise BrokenFile(f"{path} cannot be read ({error.strerror})") from None
    states.append(_file_state(path, stat))
    try:
        return _decode(content)
    except (msgspec.MsgspecError, ValueError):
        record = read_record(Path(path))  # raises BrokenFile; or reads what only Python's JSON reader accepts
    try:
        return msgspec.convert(record, Verdict)
    except msgspec.ValidationError as error:
        raise BrokenFile(f"{path} is not an answer of a run ({error})") from None


def _file_state(path: str, stat: os.stat_result) -> str:
    """A file's name, size and time of change."""
    return f"{path[path.rindex('/') :]} {stat.st_size} {stat.st_mtime_ns}"


def _chunk_digest(chunk: Files) -> str:
    """The digest of a chunk's files; that of no chunk if one cannot be read."""
    paths = [f"{chunk[0]}/{name}" for name in chunk[1] if ANSWER.fullmatch(name)]
    try:
        return _digest(_file_state(path, os.stat(path)) for path in paths)
    except OSError:
        return ""


def _digest(states: Iterable[str]) -> str:
    """The digest of the states of a chunk of files, or of a run from those of its chunks, in order."""
    return hashlib.sha256("\n".join(states).encode()).hexdigest()


def _is_converted(name: str) -> bool:
    return name.startswith("converted_question_")


@lru_cache(1024)
def _hash(question: str, starter_code: str | None) -> str:
    return f"{problem_hash({'question': question, 'starter_code': starter_code}):016x}"
