"""Pipelines in English and in Python: statements, thoughts and programs.

With `plain` a text has the first wording of each piece and the first sentence frame; otherwise the given generator
draws them, so a seed fixes the text. A `ProgramStyle` chooses between the ways to write a program.
"""

import random
from dataclasses import dataclass

from lab.world.pipelines import Pipeline

NOUNS = {"int": "numbers", "char": "letters", "word": "words"}  # by the type of the items
FUNCTION_VERBS = ("solve", "get", "find", "compute", "process")

FILTER_SENTENCES = (
    "keep only the {noun} {wording}",
    "take the {noun} {wording}",
    "ignore all {noun} except those {wording}",
    "select the {noun} {wording}",
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
class ProgramStyle:
    """How a program is written: its idiom, and which way to read the input and to reduce.

    The corpora vary the idiom only; the problems' second solutions vary all three.
    """

    idiom: str = "comprehension"
    read: int = 0
    reduction: int = 0


def draw_style(rng: random.Random) -> ProgramStyle:
    return ProgramStyle(rng.choice(IDIOMS))


def pick(rng: random.Random, wordings: tuple[str, ...], plain: bool) -> str:
    return wordings[0] if plain else rng.choice(wordings)


def statement(rng: random.Random, pipeline: Pipeline, plain: bool = False) -> str:
    """The task in English, without the sections on input and output."""
    source = pipeline.source
    opening = pick(rng, source.argument_wordings if pipeline.is_call else source.input_wordings, plain)
    clauses, kind = [], source.gives
    for step, parameter in pipeline.steps:
        wording = pick(rng, step.statement_wordings, plain).format(k=parameter)
        if not step.gives:
            wording = pick(rng, FILTER_SENTENCES, plain).format(noun=NOUNS[kind.lower()], wording=wording)
        clauses.append(wording)
        kind = step.gives or kind
    verb = "return" if pipeline.is_call else pick(rng, ("print", "output", "find"), plain)
    task = f"{verb} {pick(rng, pipeline.reduction.statement_wordings, plain)}"
    text = f"{opening} {join_sentences(rng, [*clauses, task], plain)}"
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
    """The arguments of a source as standard input."""
    if source_name == "list":
        return f"{len(arguments[0])}\n{' '.join(map(str, arguments[0]))}\n"
    if source_name == "words":
        return " ".join(arguments[0]) + "\n"
    return " ".join(map(str, arguments)) + "\n"


def as_output(answer: object) -> str:
    """An answer as a correct program prints it."""
    return (" ".join(map(str, answer)) if isinstance(answer, list) else str(answer)) + "\n"


def question(text: str, pipeline: Pipeline, name: str, example: tuple) -> str:
    """A problem's question: the statement `text`, the sections on input and output, and one example."""
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
    """The steps of the pipeline as an author's thoughts; some frames include each step's expression."""
    frame = 0 if plain else rng.randrange(4)
    parts = [pick(rng, pipeline.source.thought_wordings, plain)]
    for number, (step, parameter) in enumerate(pipeline.steps, 1):
        wording = pick(rng, step.thought_wordings, plain).format(k=parameter)
        verb = "map" if step.gives else "keep"
        code = step.code.format(k=parameter)
        parts.append(
            (
                f"Step {number}: {verb} {wording}, so {code}.",
                f"{verb.capitalize()}: {wording}. That is {code}.",
                f"We {'change each one to' if step.gives else 'need only'} {wording}.",
                f"{'Then' if number > 1 else 'First'} {code} ({wording}).",
            )[frame]
        )
    ending = pick(rng, pipeline.reduction.thought_wordings, plain)
    parts.append((f"At the end {ending}.", f"Then {ending}.", f"The answer: {ending}.", f"Last: {ending}.")[frame])
    return " ".join(parts)


def program(pipeline: Pipeline, style: ProgramStyle, name: str = "") -> str:
    """A correct program that reads standard input, or for a call the function `name`."""
    source = pipeline.source
    way = min(style.reduction, len(pipeline.reduction.codes) - 1)
    before, expression = pipeline.reduction.codes[way]
    reads = [(line,) for line in source.makes] or [()] if pipeline.is_call else source.reads
    lines = list(reads[style.read % len(reads)])
    imports = [line for line in (*lines, *before) if line.startswith("import")]
    lines = [line for line in lines if line not in imports]
    lines += body(pipeline, style.idiom) + [line for line in before if line not in imports]
    if pipeline.is_call:
        lines = [f"def {name}({source.arguments}):"] + [f"    {line}" for line in [*lines, f"return {expression}"]]
    else:
        star = "*" if pipeline.reduction.gives == "numbers" else ""
        lines.append(f"print({star}{expression})")
    return "\n".join(imports + lines)


def body(pipeline: Pipeline, idiom: str) -> list[str]:
    """The lines that apply the steps to the list `a` and make the list `b`."""
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
