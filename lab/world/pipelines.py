"""The lab's world: every problem is a pipeline, and this module draws pipelines and says what they compute.

A `Pipeline` is a specification: source, steps with their parameters, reduction, and whether the program reads standard
input or is a function. Its `family` is the same without the parameters, and a hash of the family decides, once and
for all, whether pipelines of it may be trained on ("train"), are for development ("dev") or for the test problems
("test"): what is tested are combinations that no corpus holds. A hash of two neighbours, a source with a reduction or
a step with the next, holds some pairings out altogether: no pipeline with one of them is ever trained on.
"""

import hashlib
import random
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

from lab.world.pieces import FILTERS, LETTERS, MAPS, Reduction, Source, Step
from lab.world.reductions import REDUCTIONS, SOURCES

DIFFICULTIES = {1: "EASY", 2: "MEDIUM", 3: "HARD"}  # by the number of steps
TEST_SHARE, DEV_SHARE = 0.2, 0.1  # of the families without a held-out pairing
HELD_OUT_SHARE = 0.1  # of the pairings
GROUPS = ("finetuned", "base_only", "unseen")

# What the instruct model's corpus is made of.
FINETUNED_PIECES = frozenset(
    {
        "list",
        "range",
        "digits",
        "words",
        "letters",
        "multiple",
        "greater",
        "less",
        "even",
        "odd",
        "vowel",
        "longer",
        "contains",
        "add",
        "times",
        "square",
        "digit_sum",
        "upper",
        "reverse",
        "length",
        "sum",
        "largest",
        "smallest",
        "count",
        "ascending",
        "join",
        "sentence",
    }
)


@dataclass(frozen=True)
class Pipeline:
    """One specification. `steps` are (step, parameter) pairs, the parameter None where the step has none."""

    source: Source
    steps: tuple[tuple[Step, Any], ...]
    reduction: Reduction
    is_call: bool

    @property
    def family(self) -> str:
        """The names of the pieces; the same for every parameter and for both ways to be asked."""
        return "|".join([self.source.name, *(step.name for step, _ in self.steps), self.reduction.name])

    @property
    def key(self) -> str:
        """The specification as text: the family and the parameters."""
        return f"{self.family}|{[parameter for _, parameter in self.steps]}"

    @property
    def pairings(self) -> list[str]:
        """The source with the reduction, and each step with the next one."""
        names = [step.name for step, _ in self.steps]
        return [f"{self.source.name}-{self.reduction.name}", *(f"{one}>{after}" for one, after in pairwise(names))]

    @property
    def pool(self) -> str:
        """ "train", "dev" or "test", by the hash of the family; never "train" with a pairing that is held out."""
        share = hashed(self.family)
        if self.group == "unseen":
            return "test" if share < TEST_SHARE / (TEST_SHARE + DEV_SHARE) else "dev"
        return "test" if share < TEST_SHARE else "dev" if share < TEST_SHARE + DEV_SHARE else "train"

    @property
    def group(self) -> str:
        """Who has seen such a thing, in other families.

        "unseen": it has a pairing of pieces that neither corpus holds; "finetuned": every piece is one that the
        instruct corpus uses; "base_only": some piece is in the base corpus alone.
        """
        if any(hashed(pairing) < HELD_OUT_SHARE for pairing in self.pairings):
            return "unseen"
        return "finetuned" if set(self.family.split("|")) <= FINETUNED_PIECES else "base_only"

    @property
    def noun(self) -> str:
        """What the items are called in the plural after the last step."""
        return noun_of(self.steps[-1][0].gives or self.steps[-1][0].takes if self.steps else self.source.gives)

    def items(self, *arguments: Any) -> list:
        """What is left after the steps, for the arguments of the source."""
        items = self.source.run(*arguments)
        for step, parameter in self.steps:
            if step.gives:
                items = [step.run(x, parameter) for x in items]
            else:
                items = [x for x in items if step.run(x, parameter)]
        return items

    def answer(self, *arguments: Any) -> Any:
        """The value that a right program gives: an int, a string or a list of ints."""
        return self.reduction.run(self.items(*arguments))


def family_of(key: str) -> str:
    """The family in a pipeline's key, which a problem has as its `name`."""
    return key.rpartition("|")[0]


@cache
def hashed(text: str) -> float:
    """A number from 0 to 1, the same for the same text on every machine."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


def noun_of(kind: str) -> str:
    return {"int": "numbers", "char": "letters", "word": "words"}[kind.lower()]


def draw_pipeline(rng: random.Random, number_of_steps: int, pieces: frozenset[str] | None = None) -> Pipeline:
    """A random sensible pipeline, of the given pieces only if there are any given."""
    while True:
        source = rng.choice([source for source in SOURCES if allowed(source, pieces)])
        steps: list[tuple[Step, Any]] = []
        kind = source.gives
        for _ in range(number_of_steps):
            choices = fitting_steps(source, steps, kind, pieces)
            if not choices:
                break
            step = rng.choice(choices)
            steps.append((step, rng.choice(step.parameters)))
            kind = step.gives or kind
        reductions = fitting_reductions(steps, kind, pieces)
        if len(steps) == number_of_steps and reductions:
            return Pipeline(source, tuple(steps), rng.choice(reductions), rng.random() < 0.25)


def draw_from(rng: random.Random, pool: str, number_of_steps: int, pieces: frozenset[str] | None = None) -> Pipeline:
    """A random pipeline whose family is of the pool "train", "dev" or "test"."""
    while True:
        pipeline = draw_pipeline(rng, number_of_steps, pieces)
        if pipeline.pool == pool:
            return pipeline


def disturb(rng: random.Random, pipeline: Pipeline, noise: float) -> Pipeline:
    """The pipeline with each choice drawn anew with probability `noise`: the mistakes of a careless author.

    What comes out is of the pool "train" as well, so that no corpus holds even a program of a tested family.
    """
    while True:
        kind, steps = pipeline.source.gives, []
        for step, parameter in pipeline.steps:
            if rng.random() < noise:
                is_map = bool(step.gives)
                fitting = fitting_steps(pipeline.source, steps, kind)
                step = rng.choice([other for other in fitting if bool(other.gives) == is_map] or [step])
                parameter = parameter if parameter in step.parameters else rng.choice(step.parameters)
            if rng.random() < noise / 2:
                parameter = rng.choice(step.parameters)
            steps.append((step, parameter))
            kind = step.gives or kind
        reduction = pipeline.reduction
        if rng.random() < noise:
            reduction = rng.choice(fitting_reductions(steps, kind) or [reduction])
        disturbed = replace(pipeline, steps=tuple(steps), reduction=reduction)
        if is_sensible(disturbed) and disturbed.pool == "train":
            return disturbed


def fitting_steps(source: Source, steps: list, kind: str, pieces: frozenset[str] | None = None) -> list[Step]:
    """The steps that can come next: of the right type, not used yet, maps and filters not all alike."""
    used = {step.name for step, _ in steps}
    maps_so_far = sum(bool(step.gives) for step, _ in steps)
    candidates = FILTERS + (MAPS if maps_so_far < 2 else ())
    return [
        step
        for step in candidates
        if step.takes == kind
        and step.name not in used
        and allowed(step, pieces)
        and (not step.signed or (source.name == "list" and not any(s.name in ("absolute", "square") for s, _ in steps)))
    ]


def fitting_reductions(steps: list, kind: str, pieces: frozenset[str] | None = None) -> list[Reduction]:
    """The reductions of items of the type; counting is asked only after a filter, since maps do not change it."""
    after_filter = not steps or not steps[-1][0].gives
    return [
        reduction
        for reduction in REDUCTIONS
        if kind in reduction.takes and allowed(reduction, pieces) and (after_filter or reduction.name != "count")
    ]


def is_sensible(pipeline: Pipeline) -> bool:
    """Whether the types of the pipeline follow on each other."""
    kind = pipeline.source.gives
    for step, _ in pipeline.steps:
        if step.takes != kind:
            return False
        kind = step.gives or kind
    return kind in pipeline.reduction.takes and len({step.name for step, _ in pipeline.steps}) == len(pipeline.steps)


def allowed(piece: Source | Step | Reduction, pieces: frozenset[str] | None) -> bool:
    return pieces is None or piece.name in pieces


def draw_arguments(rng: random.Random, source: Source) -> tuple:
    """Random input of a source, as the arguments of its `run`."""
    size = rng.choice((1, 2, 3, 5, 7, 8, 10, 12, 14))
    if source.name == "list":
        low = rng.choice((-30, -30, 0, 1))
        return ([rng.randint(low, rng.choice((9, 30, 60))) for _ in range(size)],)
    if source.name == "range":
        return (rng.randint(1, 60),)
    if source.name == "between":
        low = rng.randint(1, 60)
        return (low, low + rng.randint(0, 40))
    if source.name == "digits":
        return (rng.randint(1, 10 ** rng.choice((2, 5, 9, 12))),)
    if source.name == "divisors":
        return (rng.choice((rng.randint(1, 200), 12 * rng.randint(1, 40), 30 * rng.randint(1, 20))),)
    if source.name == "letters":
        return ("".join(draw_letter(rng) for _ in range(2 * size)),)
    return ([draw_word(rng) for _ in range(size)],)


def draw_letter(rng: random.Random) -> str:
    return rng.choice(LETTERS + tuple("aeiou") + tuple("abcdefghijklmnopqrstuvwxyz"))


def draw_word(rng: random.Random) -> str:
    """A word of 2 to 8 letters; a fifth of them read the same backwards."""
    word = "".join(rng.choice(LETTERS) + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))
    word = word[rng.randint(0, 1) :] if len(word) > 2 else word
    return word[:4] + word[:3][::-1] if rng.random() < 0.2 else word
