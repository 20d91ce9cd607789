"""Selection: which candidates become rows, and in which split.

Rows are spread evenly over problems, up to a limit per problem and in all, and over the run folders in given shares. Of
a problem's answers the first ones are taken: in random order, the shortest first, or the most diverse first.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hindsight.curation.candidates import Candidates
from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import records
from hindsight.files.embeddings import read_embedding
from hindsight.text.program_choice import find_program, target_of

OTHER_PROBLEM, OTHER_ROWS, ROW = "beyond MAX_PER_PROBLEM", "beyond MAX_SAMPLES or SHARES", "row of the dataset"
ORDERS = ("random", "shortest", "diverse")
EVEN = 1e-9  # rounding error of a share times a number of rows, which may be just below a whole number
GRAM = 3  # tokens of a program that are compared together
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class SelectionOptions:
    """How rows are selected; the fields are explained in `convert_to_data.py`. Raises UserError for a bad value."""

    select: str
    max_samples: int
    max_per_problem: int
    shares: tuple[float, ...]  # one per run folder; empty: folders do not matter
    validation: float
    seed: int

    def __post_init__(self) -> None:
        require(self.max_samples > 0 and self.max_per_problem > 0, "MAX_SAMPLES and MAX_PER_PROBLEM are at least 1")
        require(self.select in ORDERS, f"SELECT is one of {', '.join(ORDERS)}, not {self.select!r}")
        require(0 <= self.validation < 1, f"VALIDATION is a share from 0 to below 1, not {self.validation}")


@dataclass
class Selection:
    """The selected candidates by number, counts of all candidates by (folder, what became of them).

    measures: how many problems' answers were compared by which measure of distance; empty unless "diverse".
    """

    rows: list[int]
    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    measures: Counter[str] = field(default_factory=Counter)


def select_rows(candidates: Candidates, options: SelectionOptions) -> Selection:
    """Selects the candidates that become rows. Raises UserError as `choose` does."""
    folders, measures = candidates.table["folder"], Counter()
    shares, queues = options.shares or (1.0,), []
    for group in tqdm(
        candidates.by_problem(), unit="problem", desc=options.select, disable=options.select != "diverse"
    ):
        ranked = _rank(candidates, group, options, measures)
        by_folder = [[number for number in ranked if folders[number] == folder] for folder in range(len(shares))]
        queues.append(by_folder if options.shares else [ranked])
    selection = Selection(
        choose(queues, options.max_samples, options.max_per_problem, shares, options.seed), measures=measures
    )
    rows, taken = set(selection.rows), Counter(candidates.table["problem"][selection.rows].tolist())
    for number, row in enumerate(candidates.table):
        full = taken[int(row["problem"])] >= options.max_per_problem
        selection.counts[int(row["folder"]), ROW if number in rows else OTHER_PROBLEM if full else OTHER_ROWS] += 1
    return selection


def split_rows(candidates: Candidates, rows: list[int], options: SelectionOptions) -> dict[str, list[int]]:
    """The rows of each split in random order; all rows of a problem are in one split.

    A problem's hash decides, so that with one seed and share a problem is in the same split of every dataset, except
    for one that is moved if a split would be empty otherwise.
    """
    places: dict[int, float] = {}
    for problem in set(candidates.table["problem"][rows].tolist()):
        digest = hashlib.blake2b(f"{options.seed} {problem}".encode(), digest_size=8).digest()
        places[problem] = int.from_bytes(digest) / 2**64
    first = sorted(places, key=places.__getitem__)
    held_out = {problem for problem in first if places[problem] < options.validation}
    if options.validation and len(first) > 1:
        held_out = (held_out | {first[0]}) - {first[-1]}
    shuffled = list(rows)
    random.Random(options.seed).shuffle(shuffled)
    splits: dict[str, list[int]] = {"train": [], "validation": []}
    for number in shuffled:
        splits["validation" if int(candidates.table["problem"][number]) in held_out else "train"].append(number)
    return splits if options.validation else {"train": splits["train"]}


def _rank(
    candidates: Candidates, group: np.ndarray, options: SelectionOptions, measures: Counter[str]
) -> Sequence[int]:
    """The answers of a problem in the order in which they are taken."""
    problem = candidates.table["problem"][group[0]]
    chance = random.Random(f"{options.seed} {problem}")  # per problem, so that other problems do not change the order
    if options.select == "shortest":
        return group[np.argsort(candidates.table["length"][group], kind="stable")].tolist()
    if options.select == "diverse" and len(group) > 1:
        measure, distances = answer_distances([candidates.path(number) for number in group])
        measures[measure] += 1
        most = len(group) if options.shares else options.max_per_problem
        return group[farthest_first(distances, len(group), most, chance.randrange(len(group)))].tolist()
    shuffled = group.tolist()
    chance.shuffle(shuffled)
    return shuffled


def choose(
    queues: Sequence[Sequence[Sequence[int]]], most: int, most_per_problem: int, shares: Sequence[float], seed: int
) -> list[int]:
    """The chosen answers, in the order in which they were chosen.

    `queues` contains, per problem and source, the answers in the order in which they are taken. In each round every
    problem that has an answer left gets one, in random order, until `most` are chosen, so no problem has two rows
    before all have one. `shares` (one per source, of any sum) divides the rows: a problem's next answer comes from the
    source that lacks the largest part of its share. There are as many rows as the sources can give in these shares,
    rounded down. Raises UserError if a source with a share has no answer.
    """
    parts = np.array(shares, dtype=float) / sum(shares)
    total = most
    while True:
        quotas = [int(part * total + EVEN) for part in parts]
        chosen, lacking = _fill(queues, quotas, most_per_problem, random.Random(seed))
        if len(shares) == 1 or not any(lacking):
            return chosen
        given = np.array(quotas) - lacking
        possible = int((given[parts > 0] / parts[parts > 0] + EVEN).min())
        total = min(total - 1, possible)
        if total < 1:
            raise UserError("SHARES gives a part to a folder in which no answer is left")


def _fill(
    queues: Sequence[Sequence[Sequence[int]]], quotas: list[int], most_per_problem: int, chance: random.Random
) -> tuple[list[int], list[int]]:
    """Takes answers from the problems in turn; returns them, and how many each source lacks to fill its quota."""
    lacking, chosen = list(quotas), []
    places = [[0] * len(sources) for sources in queues]
    order = list(range(len(queues)))
    for _ in range(most_per_problem):
        chance.shuffle(order)
        before = len(chosen)
        for problem in order:
            sources, taken = queues[problem], places[problem]
            open_sources = [s for s, answers in enumerate(sources) if lacking[s] and taken[s] < len(answers)]
            if open_sources:
                source = max(open_sources, key=lambda s: lacking[s] / quotas[s])
                chosen.append(sources[source][taken[source]])
                taken[source] += 1
                lacking[source] -= 1
        if len(chosen) == before:
            break
    return chosen, lacking


def farthest_first(distances: Callable[[int], np.ndarray], count: int, most: int, start: int) -> list[int]:
    """`most` of `count` items, from `start`: each next one is the farthest from those before it.

    `distances(i)` returns the distances of item i to all items, [count]. An item's distance to several is the smallest.
    The smallest distance within the result is at least half of the largest possible (Gonzalez 1985; Ravi, Rosenkrantz
    and Tayi 1994).
    """
    chosen = [start]
    nearest = distances(start).astype(float)
    while len(chosen) < min(most, count):
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances(chosen[-1]))
    return chosen


def answer_distances(paths: list[Path]) -> tuple[str, Callable[[int], np.ndarray]]:
    """The name of the measure, and a function that returns the distances of answer i to all, [n], from 0 to 2.

    By embedding, if `embed.py` has written a valid one of the same length for each answer: 1 minus the cosine.
    Otherwise by code tokens: the Jaccard distance of the programs' sets of 3-grams of tokens.
    """
    embeddings = _read_embeddings(paths)
    if embeddings is not None:
        return "by embedding", lambda i: 1 - embeddings @ embeddings[i]
    grams = [_token_grams(records.read_record(path)) for path in paths]
    return "by code tokens", lambda i: np.array([_jaccard_distance(grams[i], other) for other in grams])


def _token_grams(record: dict[str, Any]) -> set[tuple[str, ...]]:
    """The 3-grams of the tokens of an answer's program; of the whole text if it has none."""
    text = record["converted_text"]
    tokens = _TOKEN.findall(find_program(text, target_of(record.get("metadata"))) or text)
    return {tuple(tokens[start : start + GRAM]) for start in range(max(1, len(tokens) - GRAM + 1))}


def _jaccard_distance(one: set, other: set) -> float:
    both = len(one & other)
    return 1 - both / (len(one) + len(other) - both) if one or other else 0.0


def _read_embeddings(paths: list[Path]) -> np.ndarray | None:
    """Unit vectors, [n, dimensions]; None if an answer has no valid embedding, or one of another length."""
    try:
        vectors = [vector for path in paths if (vector := read_embedding(path)) is not None]
    except BrokenFile:
        return None
    if len(vectors) < len(paths) or len(set(map(len, vectors))) != 1:
        return None
    rows = np.array(vectors)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
