"""Curating: the answers of run folders that may become rows of a dataset, and why the others may not.

Every answer goes through the filters in the order of `FILTERS`, and is counted by the first that leaves it out. Those
of one answer work in several processes, a chunk of files at a time; what is kept of an answer that passes is a line of
a table, CANDIDATE, and a signature of 128 bytes, so memory does not grow with the texts.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from tqdm import tqdm

from hindsight.curation.contamination import TestTexts, read_tests
from hindsight.curation.near_duplicates import PERMUTATIONS, signature, without_near_duplicates
from hindsight.curation.rows import TokenCounter, is_unicode, make_row
from hindsight.errors import BrokenFile
from hindsight.files import answer_files, records
from hindsight.files.masks import Mask
from hindsight.files.runs import existing_converted
from hindsight.files.worker_processes import in_processes
from hindsight.problem_sets.problems import problem_hash
from hindsight.settings import Settings
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import split_uniform

BROKEN, MASKED, NOT_JUDGED, INCORRECT = "file is broken", "problem is masked", "not judged", "incorrect"
NOT_UNIFORM, CUT_OFF, EMPTY_THOUGHT = "not in the uniform format", "cut off by length", "thought is empty"
CONTAMINATED, TOO_LONG = "problem is like one of the tests", "longer than CUTOFF_LEN"
EXACT, NEAR = "exact duplicate", "near duplicate"
FILTERS = (
    BROKEN, MASKED, NOT_JUDGED, INCORRECT, NOT_UNIFORM, CUT_OFF, EMPTY_THOUGHT, CONTAMINATED, TOO_LONG, EXACT, NEAR
)  # fmt: skip

# `problem`: a hash of its text, so one problem from two sources is one; `length`: tokens, or characters of the answer
CANDIDATE = np.dtype(
    [("folder", "u2"), ("question", "i8"), ("sample", "i4"), ("problem", "u8"), ("text", "u8"), ("length", "i4")]
)
KEYS = ("converted_text", "metadata")
CHUNK = 64  # answers that a process gets at once
FEW = 256  # answers for which no other process is started
SHOWN = 20  # broken files that are named; all are counted

Key = tuple[int, int, int]  # folder's number, question_id, sample_index


@dataclass
class Part:
    """What the filters made of some answers: counts by (folder, filter), a table of CANDIDATE, signatures."""

    counts: Counter = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    contaminated: dict[str, tuple[float, str]] = field(default_factory=dict)
    rows: list[tuple] = field(default_factory=list)
    signatures: list[np.ndarray] = field(default_factory=list)


@dataclass
class Candidates:
    """The answers that may become rows, [n] of CANDIDATE in order of folder, question and sample; and the others.

    counts: answers by (folder, filter); answers: of each folder; tests: how many test problems there are to compare
    with; contaminated: problems by their names, each with the share of its n-grams and the test problem; broken: a
    sentence a file, of the first SHOWN.
    """

    folders: list[Path]
    table: np.ndarray
    counts: Counter
    answers: list[int]
    tests: int
    contaminated: dict[str, tuple[float, str]]
    broken: list[str]

    def path(self, number: int) -> Path:
        """The file of a candidate."""
        row = self.table[number]
        return answer_files.converted_path(self.folders[row["folder"]], int(row["question"]), int(row["sample"]))

    def by_problem(self) -> list[np.ndarray]:
        """The candidates of each problem, in order of their first one."""
        order = np.argsort(self.table["problem"], kind="stable")
        _, starts = np.unique(self.table["problem"][order], return_index=True)
        groups = np.split(order, starts[1:]) if len(order) else []
        return sorted(groups, key=lambda group: group[0])


class Filters:
    """The filters of one answer, with what they need: made once, before the processes are."""

    def __init__(self, settings: Settings, folders: list[Path], mask: Mask):
        self.settings, self.folders, self.mask = settings, folders, mask
        self.prompts, self.tokens = Prompts(settings.prompt_file), None
        if settings.cutoff_len:
            self.tokens = TokenCounter(settings.tokenizer, settings.chat_template, settings.base)
        self.tests = None
        if settings.contamination and (settings.test_problems or settings.benchmarks):
            texts = read_tests(settings.test_problems, settings.test_split, settings.benchmarks)
            self.tests = TestTexts(texts, settings.ngram)
        self.keys = KEYS + ("correctness",) * settings.correct_only
        self._last: tuple[str, tuple[float, str]] = ("", (0.0, ""))

    def __call__(self, keys: list[Key]) -> Part:
        """Filters some answers."""
        part = Part()
        for key in keys:
            folder, question, sample = key
            if question in self.mask.reasons:
                part.counts[folder, MASKED] += 1
                continue
            path = answer_files.converted_path(self.folders[folder], question, sample)
            try:
                reason = self._filter(key, records.read_record(path, self.keys), path, part)
            except BrokenFile as error:
                part.broken.append(str(error))
                reason = BROKEN
            if reason:
                part.counts[folder, reason] += 1
        return part

    def _filter(self, key: Key, record: dict[str, Any], path: Path, part: Part) -> str:
        """The filter that leaves an answer out; "" and a line in the table for one that passes all."""
        settings, answer = self.settings, record["converted_text"]
        if settings.correct_only and not record["correctness"]:
            return NOT_JUDGED if record["correctness"] is None else INCORRECT
        try:
            sections, row = split_uniform(answer), make_row(record, self.prompts, settings.base)
            whole = is_unicode((row.prompt, row.answer))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BrokenFile(f"{path} has no text or question where there should be one ({error!r})") from None
        if not whole:
            raise BrokenFile(f"{path} holds half of a surrogate pair, which no data file can")
        if sections is None:
            return NOT_UNIFORM
        if settings.drop_cut_off and record.get("finish_reason") == "length":
            return CUT_OFF
        if settings.drop_empty_thought and not sections[0]:
            return EMPTY_THOUGHT
        if self.tests and self._like_a_test(record["metadata"]["question"], path, part):
            return CONTAMINATED
        length = self.tokens(row) if self.tokens else len(answer)
        if self.tokens and length > settings.cutoff_len:
            return TOO_LONG
        text = xxhash.xxh3_64_intdigest(" ".join(answer.split()).encode())
        part.rows.append((*key, problem_hash(record["metadata"]), text, length))
        if settings.near_duplicates:
            part.signatures.append(signature(answer))
        return ""

    def _like_a_test(self, question: str, path: Path, part: Part) -> bool:
        """Whether a problem is contaminated; answers come problem by problem, so the last one's result is kept."""
        if self._last[0] != question:
            self._last = question, self.tests.nearest(question)
        share, test = self._last[1]
        if share >= self.settings.contamination:
            part.contaminated[f"{path.parent} question {path.name.split('_')[2]}"] = share, test
        return share >= self.settings.contamination


def find_candidates(folders: list[Path], settings: Settings, mask: Mask) -> Candidates:
    """Puts every converted answer of the folders through the filters. Raises UserError for bad folders and settings."""
    there = [existing_converted(folder) for folder in folders]
    for folder in folders:
        mask.require_same(folder)
    filters = Filters(settings, folders, mask)
    answers = [sum(bits.bit_count() for bits in each.values()) for each in there]
    counts, broken, contaminated, tables, count = Counter(), [], {}, [np.empty(0, CANDIDATE)], 0
    signatures = np.empty((sum(answers), PERMUTATIONS), np.uint8)  # takes memory only as it is filled
    workers = 1 if sum(answers) <= FEW else settings.workers or os.cpu_count() or 1
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    with tqdm(total=sum(answers), unit="answer") as bar:
        for part in in_processes(filters, _chunks(there), workers):
            counts.update(part.counts)
            broken += part.broken[: max(0, SHOWN - len(broken))]
            contaminated.update(part.contaminated)
            tables.append(np.array(part.rows, dtype=CANDIDATE))
            if part.signatures:
                signatures[count : count + len(part.rows)] = part.signatures
            count += len(part.rows)
            bar.update(len(part.rows) + part.counts.total())
    table = _without_duplicates(np.concatenate(tables), signatures[:count], settings, counts)
    return Candidates(folders, table, counts, answers, len(filters.tests or ()), contaminated, broken)


def _chunks(there: list[dict[int, int]]) -> Iterator[list[Key]]:
    """The answers of all folders, in order, a few at a time."""
    keys = ((number, *key) for number, each in enumerate(there) for key in answer_files.sample_keys(each, {}))
    while chunk := list(islice(keys, CHUNK)):
        yield chunk


def _without_duplicates(table: np.ndarray, signatures: np.ndarray, settings: Settings, counts: Counter) -> np.ndarray:
    """The table without the answers that a filter of several answers leaves out, which are counted."""
    kept = np.arange(len(table))
    if settings.exact_duplicates:
        _, first = np.unique(table["text"], return_index=True)
        kept = np.sort(first)
    near = kept
    if settings.near_duplicates:
        near = without_near_duplicates(signatures, kept, table["problem"][kept], settings.near_duplicates)
    for reason, before, after in ((EXACT, np.arange(len(table)), kept), (NEAR, kept, near)):
        counts.update((int(folder), reason) for folder in table["folder"][np.setdiff1d(before, after)])
    return table[near]
