"""Pipelines in words and in code: statements, thoughts and programs.

A `Manner` says which wording of each piece, which sentence frame and which way of programming is used. Manner 0 of
everything is the plain one. All choices are drawn from the generator given, so a seed fixes the text.
"""

import random
from dataclasses import dataclass

from lab.world.pipelines import Pipeline, noun_of

FUNCTION_VERBS = ("solve", "get", "find", "compute", "process")

FILTER_SENTENCES = (
    "keep only the {noun} {says}",
    "take the {noun} {says}",
    "ignore all {noun} except those {says}",
    "select the {noun} {says}",
)
IDIOMS = ("comprehension", "loop")
SOLUTION_SENTENCES = (
    "The program follows these steps.",
    "Here is the code.",
    "This does it.",
    "Solution in Python:",
    "We write the steps down as code.",
)


@dataclass(frozen=True)
class Manner:
    """How a program is written: its idiom, and its ways to read and to reduce.

    Those of the corpora differ in the idiom alone; the rest is for the second solutions of the problems.
    """

    idiom: str = "comprehension"
    read: int = 0
    reduction: int = 0


def draw_manner(rng: random.Random) -> Manner:
    return Manner(rng.choice(IDIOMS))


def pick(rng: random.Random, wordings: tuple[str, ...], plain: bool) -> str:
    return wordings[0] if plain else rng.choice(wordings)


def statement(rng: random.Random, pipeline: Pipeline, plain: bool = False) -> str:
    """What is asked, without the sections about input and output. `plain`: only the first wordings."""
    source = pipeline.source
    opening = pick(rng, source.given if pipeline.is_call else source.says, plain)
    sentences, kind = [], source.gives
    for step, parameter in pipeline.steps:
        says = pick(rng, step.says, plain).format(k=parameter)
        if not step.gives:
            says = pick(rng, FILTER_SENTENCES, plain).format(noun=noun_of(kind), says=says)
        sentences.append(says)
        kind = step.gives or kind
    verb = "return" if pipeline.is_call else pick(rng, ("print", "output", "find"), plain)
    asked = f"{verb} {pick(rng, pipeline.reduction.says, plain)}"
    text = f"{opening} {join_sentences(rng, [*sentences, asked], plain)}"
    if pipeline.reduction.empty:
        text += f" If nothing is left, the answer is {pipeline.reduction.empty}."
    return text


def join_sentences(rng: random.Random, clauses: list[str], plain: bool) -> str:
    """The clauses as sentences, in one of three frames."""
    frame = 0 if plain else rng.randrange(3)
    if frame == 0 or len(clauses) == 1:
        return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)
    if frame == 1:
        words = ["First", *["then"] * (len(clauses) - 2), "finally"]
        return ", ".join(f"{word} {clause}" for word, clause in zip(words, clauses, strict=True)) + "."
    text = ", ".join(clauses[:-1]) + " and " + clauses[-1]
    return f"{text[0].upper()}{text[1:]}."


def draw_function_name(rng: random.Random, pipeline: Pipeline) -> str:
    return f"{rng.choice(FUNCTION_VERBS)}_{pipeline.source.noun}"


def as_lines(arguments: tuple, source_name: str) -> str:
    """The arguments of a source as standard input, each line ended."""
    if source_name == "list":
        return f"{len(arguments[0])}\n{' '.join(map(str, arguments[0]))}\n"
    if source_name == "words":
        return " ".join(arguments[0]) + "\n"
    return " ".join(map(str, arguments)) + "\n"


def as_output(answer: object) -> str:
    """An answer as a right program prints it."""
    return (" ".join(map(str, answer)) if isinstance(answer, list) else str(answer)) + "\n"


def question(text: str, pipeline: Pipeline, name: str, example: tuple) -> str:
    """The whole question: the statement with its sections, and one example."""
    answer = pipeline.answer(*example)
    if pipeline.is_call:
        return f"{text}\n\nExamples\n\n{name}({', '.join(map(repr, example))}) returns {answer!r}"
    output = {"integer": "One integer.", "string": "One string.", "numbers": "The numbers in one line."}
    return (
        f"{text}\n\nInput\n\n{pipeline.source.layout}\n\nOutput\n\n{output[pipeline.reduction.gives]}\n\n"
        f"Examples\n\nInput\n\n{as_lines(example, pipeline.source.name)}\nOutput\n\n{as_output(answer).rstrip()}"
    )


def starter_code(pipeline: Pipeline, name: str) -> str:
    return f"def {name}({pipeline.source.arguments}):\n" if pipeline.is_call else ""


def thought(rng: random.Random, pipeline: Pipeline, plain: bool = False) -> str:
    """The steps of the pipeline as somebody thinks them, some with the expression that does it."""
    frame = 0 if plain else rng.randrange(4)
    parts = [pick(rng, pipeline.source.thinks, plain)]
    for number, (step, parameter) in enumerate(pipeline.steps, 1):
        words = pick(rng, step.thinks, plain).format(k=parameter)
        verb = "map" if step.gives else "keep"
        code = step.code.format(k=parameter)
        parts.append(
            (
                f"Step {number}: {verb} {words}, so {code}.",
                f"{verb.capitalize()}: {words}. That is {code}.",
                f"We {'change each one to' if step.gives else 'need only'} {words}.",
                f"{'Then' if number > 1 else 'First'} {code} ({words}).",
            )[frame]
        )
    ending = pick(rng, pipeline.reduction.thinks, plain)
    parts.append((f"At the end {ending}.", f"Then {ending}.", f"The answer: {ending}.", f"Last: {ending}.")[frame])
    return " ".join(parts)


def program(pipeline: Pipeline, manner: Manner, name: str = "") -> str:
    """The program of a pipeline: reads standard input, or the function `name`."""
    source = pipeline.source
    way = min(manner.reduction, len(pipeline.reduction.codes) - 1)
    before, expression = pipeline.reduction.codes[way]
    reads = [(line,) for line in source.makes] or [()] if pipeline.is_call else source.reads
    lines = list(reads[manner.read % len(reads)])
    imports = [line for line in (*lines, *before) if line.startswith("import")]
    lines = [line for line in lines if line not in imports]
    lines += body(pipeline, manner.idiom) + [line for line in before if line not in imports]
    if pipeline.is_call:
        lines = [f"def {name}({source.arguments}):"] + [f"    {line}" for line in [*lines, f"return {expression}"]]
    else:
        star = "*" if pipeline.reduction.gives == "numbers" else ""
        lines.append(f"print({star}{expression})")
    return "\n".join(imports + lines)


def body(pipeline: Pipeline, idiom: str) -> list[str]:
    """The lines that make the list `b` of what is left of the list `a`."""
    steps = [(step, step.code.format(k=parameter)) for step, parameter in pipeline.steps]
    if not steps:
        return ["b = list(a)"]
    if idiom == "loop":
        lines, indent = ["b = []", "for x in a:"], "    "
        for step, code in steps:
            lines.append(f"{indent}x = {code}" if step.gives else f"{indent}if {code}:")
            indent += "" if step.gives else "    "
        return [*lines, f"{indent}b.append(x)"]
    lines, before = [], "a"
    for position, (step, code) in enumerate(steps):
        after_filter = position > 0 and not steps[position - 1][0].gives
        if step.gives and after_filter:
            lines[-1] = lines[-1].replace("b = [x for", f"b = [{code} for")
        else:
            lines.append(f"b = [{code} for x in {before}]" if step.gives else f"b = [x for x in {before} if {code}]")
        before = "b"
    return lines
