"""Random pipelines and random inputs of a source. A seeded generator fixes them."""

import random
from dataclasses import replace
from functools import cache
from typing import Any

from lab.world.pieces import Reduction, Source, Step
from lab.world.pipelines import Pipeline
from lab.world.reductions import REDUCTIONS
from lab.world.sources import SOURCES
from lab.world.steps import FILTERS, LETTERS, MAPS


def draw_pipeline(rng: random.Random, number_of_steps: int, pieces: frozenset[str] | None = None) -> Pipeline:
    """A random sensible pipeline; `pieces` limits it to these."""
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
    """A random pipeline of the pool "train", "dev" or "test"."""
    while True:
        pipeline = draw_pipeline(rng, number_of_steps, pieces)
        if pipeline.pool == pool:
            return pipeline


def disturb(rng: random.Random, pipeline: Pipeline, noise: float) -> Pipeline:
    """The pipeline with each choice redrawn with probability `noise`: the mistakes of a careless author.

    The result is in the pool "train" too, so no corpus holds even a mistaken program of a test family.
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
    """The steps that can come next: of the right type, not used yet, and at most two maps."""
    used = {step.name for step, _ in steps}
    maps_so_far = sum(bool(step.gives) for step, _ in steps)
    negative = source.name == "list" and used.isdisjoint(("absolute", "square"))
    return [
        step
        for step in steps_taking(kind, maps_so_far < 2, pieces)
        if step.name not in used and (negative or not step.signed)
    ]


@cache
def steps_taking(kind: str, with_maps: bool, pieces: frozenset[str] | None) -> list[Step]:
    """The filters, and the maps if wanted, that take items of the type."""
    return [step for step in FILTERS + (MAPS if with_maps else ()) if step.takes == kind and allowed(step, pieces)]


def fitting_reductions(steps: list, kind: str, pieces: frozenset[str] | None = None) -> list[Reduction]:
    """The reductions that take items of the type; "count" only after a filter, since maps do not change a count."""
    after_filter = not steps or not steps[-1][0].gives
    return [
        reduction
        for reduction in REDUCTIONS
        if kind in reduction.takes and allowed(reduction, pieces) and (after_filter or reduction.name != "count")
    ]


def is_sensible(pipeline: Pipeline) -> bool:
    """Whether each step accepts the items of the one before, and no step occurs twice."""
    kind = pipeline.source.gives
    for step, _ in pipeline.steps:
        if step.takes != kind:
            return False
        kind = step.gives or kind
    return kind in pipeline.reduction.takes and len({step.name for step, _ in pipeline.steps}) == len(pipeline.steps)


def allowed(piece: Source | Step | Reduction, pieces: frozenset[str] | None) -> bool:
    return pieces is None or piece.name in pieces


def draw_arguments(rng: random.Random, source: Source) -> tuple:
    """A random input of a source, as the arguments of its `run`."""
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
        letters = LETTERS + tuple("aeiou") + tuple("abcdefghijklmnopqrstuvwxyz")
        return ("".join(rng.choice(letters) for _ in range(2 * size)),)
    return ([draw_word(rng) for _ in range(size)],)


def draw_word(rng: random.Random) -> str:
    """A word of 2 to 8 letters; about a fifth are palindromes."""
    word = "".join(rng.choice(LETTERS) + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))
    word = word[rng.randint(0, 1) :] if len(word) > 2 else word
    return word[:4] + word[:3][::-1] if rng.random() < 0.2 else word
