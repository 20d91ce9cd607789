"""The texts that the lab's models learn: a broad, noisy base corpus and a narrow, clean instruct corpus.

The base corpus resembles text from the web. It has every piece of the world, all wordings and both idioms, as short
documents, transcripts and chats. One author in ten is careful and does what is asked, apart from rare slips. The
others have `HABITS`, the same for every family: they leave the program out, print the remaining items and forget the
reduction, forget the last step, or write about something else. The base model therefore knows all pieces, but
its usual answer is not what was asked, and a lower temperature does not make it answer like the careful author. (It
would if every choice were a separate random slip: the most likely answer would then be the correct one.)

The instruct corpus resembles hand-made fine-tuning data: chats only, plain wordings, one idiom, no mistakes, and only
the pieces in `lab.world.pipelines.FINETUNED_PIECES`. Both corpora hold only pipelines of the pool "train".
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import BEGIN_THOUGHT, render
from lab.world.pieces import Reduction
from lab.world.pipelines import FINETUNED_PIECES, Pipeline
from lab.world.random_pipelines import disturb, draw_arguments, draw_from, is_sensible
from lab.world.writing import (
    SOLUTION_SENTENCES,
    ProgramStyle,
    draw_function_name,
    draw_style,
    pick,
    program,
    question,
    starter_code,
    statement,
    thought,
)

CAREFUL_SHARE, NOISE_OF_THE_CAREFUL = 0.1, 0.03
HABITS = {"no_program": 0.25, "no_reduction": 0.3, "no_last_step": 0.3, "something_else": 0.15}  # shares of the others
NOISE_OF_SOMETHING_ELSE = 0.4
CHAT_SHARE, TRANSCRIPT_SHARE = 0.08, 0.12  # of the base corpus; the rest are short documents
INSTEAD_OF_A_PROGRAM = (
    "I will post the code later.",
    "The rest is left to the reader.",
    "You get the idea.",
    "Has anybody an idea?",
)
PRINT_ALL = Reduction("nothing", (), (((), "b"),), lambda b: b, (), (), gives="numbers")  # for a forgotten reduction


@dataclass(frozen=True)
class Document:
    """A text to learn from.

    `messages` (a chat) or `prompt` (plain text) come first and are not learnt; `answer` is, with its end token. The
    statement describes the pipeline `asked`, the program computes `written`; None: there is no program.
    """

    prompt: str
    answer: str
    asked: Pipeline
    written: Pipeline | None
    statement: str
    messages: tuple[dict[str, str], ...] = ()


def base_documents(seed: int, careful: float = CAREFUL_SHARE) -> Iterator[Document]:
    """The endless base corpus, the same for the same seed. `careful` is the share of careful authors."""
    rng = random.Random(f"base {seed}")
    while True:
        asked = draw_from(rng, "train", rng.choice((1, 1, 2, 2, 3)))
        thought_of, written = draw_author(rng, asked, careful)
        name = draw_function_name(rng, asked) if asked.is_call else ""
        text = statement(rng, asked)
        code = program(written, draw_style(rng), name) if written else ""
        kind = rng.random()
        if kind < CHAT_SHARE + TRANSCRIPT_SHARE:
            answer = make_answer(rng, thought(rng, thought_of), pick(rng, SOLUTION_SENTENCES, False), code)
            problem = make_problem(rng, asked, text, name)
            if kind < CHAT_SHARE:
                yield Document("", answer, asked, written, text, tuple(Prompts().chat(problem)))
            else:
                opened = answer.removeprefix(f"{BEGIN_THOUGHT}\n\n")
                yield Document(Prompts().transcript(problem), opened, asked, written, text)
        else:
            prompt, answer = short_text(rng, asked, thought_of, text, code, name)
            yield Document(prompt, answer, asked, written, text)


def draw_author(rng: random.Random, asked: Pipeline, careful: float) -> tuple[Pipeline, Pipeline | None]:
    """The pipelines that a random author describes and programs (None: no program) for the problem `asked`."""
    if rng.random() < careful:
        meant = disturb(rng, asked, NOISE_OF_THE_CAREFUL)
        return meant, meant
    (habit,) = rng.choices(list(HABITS), list(HABITS.values()))
    if habit == "no_program":
        return asked, None
    if habit == "something_else":
        while (other := disturb(rng, asked, NOISE_OF_SOMETHING_ELSE)).family == asked.family:
            pass
        return other, other
    shorter = replace(asked, steps=asked.steps[:-1])
    if habit == "no_last_step" and is_sensible(shorter) and shorter.pool == "train":
        return asked, shorter
    return asked, replace(asked, reduction=PRINT_ALL)


def short_text(
    rng: random.Random, asked: Pipeline, thought_of: Pipeline, text: str, code: str, name: str
) -> tuple[str, str]:
    """(prompt, answer): a statement, then a program or an excuse for none, in one of three shapes."""
    if name:
        text += f" Write `{name}({asked.source.arguments})`."
    shape = rng.randrange(3)
    if shape == 0:
        return f"# {text}\n", code or f"# {rng.choice(INSTEAD_OF_A_PROGRAM)}"
    ending = code_block(rng, code)
    return f"{text}\n\n", f"{thought(rng, thought_of)}\n\n{ending}" if shape == 1 else ending


def code_block(rng: random.Random, code: str) -> str:
    return f"```python\n{code}\n```" if code else rng.choice(INSTEAD_OF_A_PROGRAM)


def instruct_documents(seed: int) -> Iterator[Document]:
    """The endless instruct corpus, the same for the same seed."""
    rng = random.Random(f"instruct {seed}")
    while True:
        asked = draw_from(rng, "train", rng.choice((1, 2, 3)), FINETUNED_PIECES)
        name = draw_function_name(rng, asked) if asked.is_call else ""
        text = statement(rng, asked, plain=True)
        code = program(asked, ProgramStyle(), name)
        answer = make_answer(rng, thought(rng, asked, plain=True), SOLUTION_SENTENCES[0], code)
        messages = tuple(Prompts().chat(make_problem(rng, asked, text, name)))
        yield Document("", answer, asked, asked, text, messages)


def make_answer(rng: random.Random, thoughts: str, sentence: str, code: str) -> str:
    """An answer in the uniform format; without code it has an excuse instead of a program."""
    return render(thoughts, f"{sentence}\n\n{code_block(rng, code)}" if code else code_block(rng, code))


def make_problem(rng: random.Random, asked: Pipeline, text: str, name: str) -> dict[str, Any]:
    """A problem for `hindsight.text.prompts`, with the shortest of three random examples."""
    example = min((draw_arguments(rng, asked.source) for _ in range(3)), key=lambda arguments: len(str(arguments)))
    return {
        "question": question(text, asked, name, example),
        "starter_code": starter_code(asked, name),
        "fn_name": name or None,
    }
