"""The candidates: the answers of run folders that pass every filter, and counts of the others.

The filters of one answer run in several processes, on a chunk of files at a time. What is kept of an answer that passes
is a row of a table, CANDIDATE, and a signature of 128 bytes, so memory does not grow with the texts. Then answers are
compared with one another to leave out duplicates.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hindsight.curation.filters import BROKEN, CONTAMINATED, EXACT, MASKED, NEAR, AnswerFilter, FilterOptions, LeftOut
from hindsight.curation.near_duplicates import PERMUTATIONS, without_near_duplicates
from hindsight.curation.training_rows import RowOptions
from hindsight.errors import BrokenFile
from hindsight.files import answer_files, records
from hindsight.files.masks import Mask
from hindsight.files.runs import existing_converted
from hindsight.files.worker_processes import in_processes

# folder: its number; question, sample: ids; the others as in `filters.Passed`
CANDIDATE = np.dtype(
    [("folder", "u2"), ("question", "i8"), ("sample", "i4"),
     ("problem", "u8"), ("text", "u8"), ("length", "i4"), ("other_prompts", "?")]
)  # fmt: skip
KEYS = ("converted_text", "metadata")
CHUNK = 64  # answers that a process filters at once
FEW = 256  # up to so many answers, one process is faster
SHOWN = 20  # broken files that are named; all are counted

Key = tuple[int, int, int]  # folder's number, question_id, sample_index


@dataclass
class FilteredChunk:
    """The filters' result for some answers: counts by (folder, filter), rows of CANDIDATE, signatures.

    broken: a sentence per broken file; contaminated: as in `Candidates`.
    """

    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    contaminated: dict[str, tuple[float, str]] = field(default_factory=dict)
    rows: list[tuple] = field(default_factory=list)
    signatures: list[np.ndarray] = field(default_factory=list)


@dataclass
class Candidates:
    """The answers that may become rows, [n] of CANDIDATE in order of folder, question and sample; and the others.

    counts: answers by (folder, filter); answers: of each folder; unit: the unit of lengths; compared_with: the number
    of test problems; contaminated: problems by name, each with the share of n-grams that it has in common with a
    test problem, and that one's name; broken: a sentence for each of the first SHOWN broken files; note: a sentence on
    the chat template, or "".
    """

    folders: list[Path]
    table: np.ndarray
    counts: Counter[tuple[int, str]]
    answers: list[int]
    unit: str
    compared_with: int
    contaminated: dict[str, tuple[float, str]]
    broken: list[str]
    note: str = ""

    def path(self, number: int) -> Path:
        """The file of a candidate."""
        row = self.table[number]
        return answer_files.converted_path(self.folders[row["folder"]], int(row["question"]), int(row["sample"]))

    def by_problem(self) -> list[np.ndarray]:
        """The candidates of each problem, in order of the first one."""
        order = np.argsort(self.table["problem"], kind="stable")
        _, starts = np.unique(self.table["problem"][order], return_index=True)
        groups = np.split(order, starts[1:]) if len(order) else []
        return sorted(groups, key=lambda group: group[0])

    def broken_count(self) -> int:
        """The number of broken files."""
        return sum(self.counts[number, BROKEN] for number in range(len(self.folders)))


class ChunkFilter:
    """Filters a chunk of answers. It is made once, before the processes are forked."""

    def __init__(self, folders: list[Path], mask: Mask, answer_filter: AnswerFilter):
        self.folders, self.mask, self.answer_filter = folders, mask, answer_filter

    def __call__(self, keys: list[Key]) -> FilteredChunk:
        chunk = FilteredChunk()
        for key in keys:
            if reason := self._filter(key, chunk):
                chunk.counts[key[0], reason] += 1
        return chunk

    def _filter(self, key: Key, chunk: FilteredChunk) -> str:
        """The filter that leaves an answer out; "" for one that is added to the chunk's candidates."""
        folder, question, sample = key
        if question in self.mask.reasons:
            return MASKED
        path = answer_files.converted_path(self.folders[folder], question, sample)
        try:
            found = self.answer_filter(records.read_record(path, KEYS), path)
        except BrokenFile as error:
            chunk.broken.append(str(error))
            return BROKEN
        if isinstance(found, LeftOut):
            if found.reason == CONTAMINATED:
                chunk.contaminated[f"{self.folders[folder]} question {question}"] = found.similar
            return found.reason
        chunk.rows.append((*key, *found[:-1]))
        if found.signature is not None:
            chunk.signatures.append(found.signature)
        return ""


def find_candidates(
    folders: list[Path], mask: Mask, options: FilterOptions, rows: RowOptions, workers: int
) -> Candidates:
    """Filters every converted answer of the folders, in `workers` processes (0: one per core).

    Raises UserError for a folder without converted answers, a mask of another problem set, and as `AnswerFilter` does.
    """
    existing = [existing_converted(folder) for folder in folders]
    for folder in folders:
        mask.require_same(folder)
    answer_filter = AnswerFilter(options, rows)
    answers = [sum(bits.bit_count() for bits in samples.values()) for samples in existing]
    counts, broken, contaminated, tables, count = Counter(), [], {}, [np.empty(0, CANDIDATE)], 0
    signatures = np.empty((sum(answers), PERMUTATIONS), np.uint8)  # uses memory only where it is filled
    workers = 1 if sum(answers) <= FEW else workers or os.cpu_count() or 1
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there is one process per core already
    with tqdm(total=sum(answers), unit="answer") as bar:
        for chunk in in_processes(ChunkFilter(folders, mask, answer_filter), _chunks(existing), workers):
            counts.update(chunk.counts)
            broken += chunk.broken[: max(0, SHOWN - len(broken))]
            contaminated.update(chunk.contaminated)
            tables.append(np.array(chunk.rows, dtype=CANDIDATE))
            if chunk.signatures:
                signatures[count : count + len(chunk.rows)] = chunk.signatures
            count += len(chunk.rows)
            bar.update(len(chunk.rows) + chunk.counts.total())
    table = _without_duplicates(np.concatenate(tables), signatures[:count], options, counts)
    unit = "tokens" if options.cutoff_len else "characters"
    compared_with = len(answer_filter.benchmarks or ())
    return Candidates(folders, table, counts, answers, unit, compared_with, contaminated, broken, answer_filter.note())


def _chunks(existing: list[dict[int, int]]) -> Iterator[list[Key]]:
    """The answers of all folders, in order, a chunk at a time."""
    keys = ((number, *key) for number, samples in enumerate(existing) for key in answer_files.sample_keys(samples, {}))
    while chunk := list(islice(keys, CHUNK)):
        yield chunk


def _without_duplicates(
    table: np.ndarray, signatures: np.ndarray, options: FilterOptions, counts: Counter[tuple[int, str]]
) -> np.ndarray:
    """The table without duplicates, which are added to the counts."""
    kept = np.arange(len(table))
    if options.exact_duplicates:
        _, first = np.unique(table["text"], return_index=True)
        kept = np.sort(first)
    near = kept
    if options.near_duplicates:
        near = without_near_duplicates(signatures, kept, table["problem"][kept], options.near_duplicates)
    for reason, before, after in ((EXACT, np.arange(len(table)), kept), (NEAR, kept, near)):
        counts.update((int(folder), reason) for folder in table["folder"][np.setdiff1d(before, after)])
    return table[near]
