"""The tests of a lab problem: inputs that distinguish its program from near misses."""

import random
from collections import Counter
from dataclasses import replace

from lab.world.pipelines import Pipeline
from lab.world.random_pipelines import draw_arguments, fitting_reductions

LARGEST_ANSWER = 10**30


def choose_tests(rng: random.Random, pipeline: Pipeline, count: int, drawn: int) -> list[tuple] | None:
    """The arguments of `count` tests out of `drawn` random inputs, the statement's example first.

    The second test is the smallest input. Each of the next tests rules out a near miss (`near_misses`) that no earlier
    test does; the rest are random. Returns None for a poor problem: a step hardly ever changes the answer, most answers
    are the same, too few inputs are usable, or the tests cannot rule out all near misses.
    """
    candidates = [arguments for arguments in draw_inputs(rng, pipeline, drawn) if is_usable(pipeline, arguments)]
    answers = [pipeline.answer(*arguments) for arguments in candidates]
    sizes = [len(str(arguments)) for arguments in candidates]
    examples = [i for i, size in enumerate(sizes) if size <= 24 and len(pipeline.items(*candidates[i])) > 1]
    if len(candidates) < drawn / 2 or not examples:
        return None

    def ruling_out(near_miss: Pipeline) -> set[int]:
        return {i for i, arguments in enumerate(candidates) if near_miss.answer(*arguments) != answers[i]}

    similar = near_misses(pipeline)
    without_step = {number: ruling_out(near_miss) for number, (near_miss, lacks) in enumerate(similar) if lacks}
    if any(len(differs) < len(candidates) / 4 for differs in without_step.values()):
        return None  # most poor problems end here, before the many other near misses are run
    telling = [without_step.get(number) or ruling_out(near_miss) for number, (near_miss, _) in enumerate(similar)]
    telling = [differs for differs in telling if differs]  # for each near miss, the candidates that rule it out
    chosen = [examples[0], min(range(len(sizes)), key=sizes.__getitem__)]
    for differs in sorted(telling, key=len):
        if len(chosen) < count and not differs & set(chosen):
            chosen.append(min(differs))
    chosen = list(dict.fromkeys(chosen + list(range(len(candidates)))))[:count]
    if any(not differs & set(chosen) for differs in telling):
        return None
    most_frequent = Counter(repr(answers[i]) for i in chosen).most_common(1)[0][1]
    return [candidates[i] for i in chosen] if most_frequent <= count / 2 else None


def draw_inputs(rng: random.Random, pipeline: Pipeline, count: int) -> list[tuple]:
    """Up to `count` different random inputs, and for a function of a list the empty list too."""
    drawn = [draw_arguments(rng, pipeline.source) for _ in range(count)]
    if pipeline.is_call and pipeline.source.arguments == "a":
        drawn.append(("",) if pipeline.source.name == "letters" else ([],))
    return list({repr(arguments): arguments for arguments in drawn}.values())


def is_usable(pipeline: Pipeline, arguments: tuple) -> bool:
    """Whether the answer has a moderate size and does not print as an empty line."""
    answer = pipeline.answer(*arguments)
    if isinstance(answer, int):
        return abs(answer) < LARGEST_ANSWER
    return pipeline.is_call or len(answer) > 0


def near_misses(pipeline: Pipeline) -> list[tuple[Pipeline, bool]]:
    """Similar pipelines: without one step (marked True), with another parameter or another reduction (False)."""
    steps, found = pipeline.steps, []
    for i, (step, parameter) in enumerate(steps):
        rest = steps[:i] + steps[i + 1 :]
        if not step.gives or step.gives == step.takes:
            found.append((replace(pipeline, steps=rest), True))
        others = [other for other in step.parameters if other != parameter]
        found += [(replace(pipeline, steps=(*steps[:i], (step, other), *steps[i + 1 :])), False) for other in others]
    kind = steps[-1][0].gives or steps[-1][0].takes
    found += [
        (replace(pipeline, reduction=other), False)
        for other in fitting_reductions(list(steps), kind)
        if other.name != pipeline.reduction.name
    ]
    return found
