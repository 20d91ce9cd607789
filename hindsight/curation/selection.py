"""Which answers become rows: evenly over problems, up to so many of each and in all, in given shares of the runs."""

import random
from collections.abc import Callable, Sequence

import numpy as np

from hindsight.errors import UserError

EVEN = 1e-9  # what a share times a number may lack of a whole number


def choose(
    queues: Sequence[Sequence[Sequence[int]]], most: int, most_per_problem: int, shares: Sequence[float], seed: int
) -> list[int]:
    """The chosen answers, in the order in which they were.

    `queues` has for each problem the answers of each source, the ones to be taken first in front. In a round every
    problem that has an answer left gets one, in random order, until `most` are chosen: so no problem has two rows
    before all have one. `shares` (one a source, of any sum) divides the rows: a problem's next answer is of the source
    that lacks most, and there are as many rows as all sources can give in these shares, rounded down.
    Raises UserError when a source with a share has nothing to give.
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
            raise UserError("SHARES gives a part to a folder of which no answer is left")


def _fill(
    queues: Sequence[Sequence[Sequence[int]]], quotas: list[int], most_per_problem: int, chance: random.Random
) -> tuple[list[int], list[int]]:
    """Rounds over the problems; the chosen answers, and how many each source lacks of its quota."""
    lacking, chosen = list(quotas), []
    places = [[0] * len(sources) for sources in queues]
    order = list(range(len(queues)))
    for _ in range(most_per_problem):
        chance.shuffle(order)
        before = len(chosen)
        for problem in order:
            sources, taken = queues[problem], places[problem]
            open_ones = [s for s, answers in enumerate(sources) if lacking[s] and taken[s] < len(answers)]
            if open_ones:
                source = max(open_ones, key=lambda s: lacking[s] / quotas[s])
                chosen.append(sources[source][taken[source]])
                taken[source] += 1
                lacking[source] -= 1
        if len(chosen) == before:
            break
    return chosen, lacking


def farthest_first(distances: Callable[[int], np.ndarray], count: int, most: int, start: int) -> list[int]:
    """`most` of `count` items, each the one farthest from those before it: its least distance to them is largest.

    `distances(i)` are those of item i to all, [count]. Of what greedy choice can do for the least distance within a
    set, this is at least half of the best (Gonzalez 1985; Ravi, Rosenkrantz and Tayi 1994).
    """
    chosen = [start]
    nearest = distances(start).astype(float)
    while len(chosen) < min(most, count):
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances(chosen[-1]))
    return chosen
