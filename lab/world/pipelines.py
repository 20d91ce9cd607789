"""A pipeline: the specification of one lab problem, what it computes, and which split may use it.

A pipeline is a source, steps with their parameters, a reduction, and whether its program reads standard input or is a
function. Its *family* is the same without the parameters. A hash of the family decides once and for all whether its
pipelines are training problems ("train"), development problems ("dev") or test problems ("test"), so test problems are
combinations that no corpus has. A hash of each *pairing* (the source with the reduction, a step with the next one)
holds some pairings out altogether: no pipeline with one of them is ever trained on.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from lab.world.pieces import Reduction, Source, Step

DIFFICULTIES = {1: "EASY", 2: "MEDIUM", 3: "HARD"}  # by the number of steps
TEST_SHARE, DEV_SHARE = 0.2, 0.1  # of the families without a held-out pairing
HELD_OUT_SHARE = 0.1  # of the pairings
GROUPS = ("finetuned", "base_only", "unseen")

# fmt: off
FINETUNED_PIECES = frozenset((  # of the instruct corpus
    "list", "range", "digits", "words", "letters",                                # sources
    "multiple", "greater", "less", "even", "odd", "vowel", "longer", "contains",  # filters
    "add", "times", "square", "digit_sum", "upper", "reverse", "length",          # maps
    "sum", "largest", "smallest", "count", "ascending", "join", "sentence",       # reductions
))
# fmt: on


@dataclass(frozen=True)
class Pipeline:
    """One specification. `steps` are (step, parameter) pairs, the parameter None for a step without one."""

    source: Source
    steps: tuple[tuple[Step, Any], ...]
    reduction: Reduction
    is_call: bool

    @property
    def family(self) -> str:
        """The names of the pieces: the same for every parameter, for programs and for functions."""
        return "|".join([self.source.name, *(step.name for step, _ in self.steps), self.reduction.name])

    @property
    def key(self) -> str:
        """The specification as text: the family and the parameters."""
        return f"{self.family}|{[parameter for _, parameter in self.steps]}"

    @property
    def pool(self) -> str:
        """Its split by the hash of the family: train, dev or test; never train with a held-out pairing."""
        return pool_of(self.family)

    @property
    def group(self) -> str:
        """Which model has seen its pieces, in other families.

        "unseen": one of its pairings is in neither corpus; "finetuned": the instruct corpus uses all of its pieces;
        "base_only": one of its pieces is only in the base corpus.
        """
        return group_of(self.family)

    def items(self, *arguments: Any) -> list:
        """The items after the steps, for the arguments of the source."""
        items = self.source.run(*arguments)
        for step, parameter in self.steps:
            if step.gives:
                items = [step.run(x, parameter) for x in items]
            else:
                items = [x for x in items if step.run(x, parameter)]
        return items

    def answer(self, *arguments: Any) -> Any:
        """The value that a correct program gives: an int, a string or a list of ints."""
        return self.reduction.run(self.items(*arguments))


def family_of(key: str) -> str:
    """The family in a pipeline's key, which is a problem's `name`."""
    return key.rpartition("|")[0]


def pairings_of(family: str) -> list[str]:
    """The source with the reduction, and each step with the next one."""
    source, *steps, reduction = family.split("|")
    return [f"{source}-{reduction}", *(f"{one}>{after}" for one, after in pairwise(steps))]


@cache
def pool_of(family: str) -> str:
    """See `Pipeline.pool`; a corpus draws most families many times."""
    share = hashed(family)
    if group_of(family) == "unseen":
        return "test" if share < TEST_SHARE / (TEST_SHARE + DEV_SHARE) else "dev"
    return "test" if share < TEST_SHARE else "dev" if share < TEST_SHARE + DEV_SHARE else "train"


@cache
def group_of(family: str) -> str:
    """See `Pipeline.group`."""
    if any(hashed(pairing) < HELD_OUT_SHARE for pairing in pairings_of(family)):
        return "unseen"
    return "finetuned" if set(family.split("|")) <= FINETUNED_PIECES else "base_only"


@cache
def hashed(text: str) -> float:
    """A number in [0, 1) that is the same for the same text on every machine."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8
