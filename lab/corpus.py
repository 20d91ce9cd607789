"""What the lab's models read: a broad, careless corpus for the base model, a narrow, clean one for the instruct model.

The base corpus is like text found somewhere: every piece of the world, all wordings and ways to program, a part with a
thought, a few transcripts and chats, and mistakes (`NOISE`): each choice of what is thought, and again of what is
programmed, is drawn anew now and then. The instruct corpus is like hand-made fine-tuning data: chats only, plain
wordings, one way to program, no mistakes, and only the pieces named in `lab.world.FINETUNED_PIECES`.
Both hold pipelines of the pool "train" alone.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from hindsight.formats import BEGIN_THOUGHT, render
from hindsight.prompts import base_prompt, chat_messages
from lab.world import FINETUNED_PIECES, Pipeline, disturb, draw_arguments, draw_from
from lab.writing import (
    SOLUTION_SENTENCES,
    Manner,
    draw_function_name,
    draw_manner,
    pick,
    program,
    question,
    starter_code,
    statement,
    thought,
)

NOISE_OF_THOUGHT, NOISE_OF_CODE = 0.15, 0.04
TRANSCRIPT_SHARE, CHAT_SHARE = 0.12, 0.05  # of the base corpus; the rest are short documents


@dataclass(frozen=True)
class Document:
    """A text to learn from.

    `messages` (a chat) or `prompt` (plain text) come first and are not learnt; `answer` is learnt, with the token that
    ends it. `asked` and `written` are what the statement and the program are about.
    """

    prompt: str
    answer: str
    asked: Pipeline
    written: Pipeline
    statement: str
    messages: tuple[dict[str, str], ...] = ()


def base_documents(seed: int) -> Iterator[Document]:
    """The base corpus, without end; the same documents for the same seed."""
    rng = random.Random(f"base {seed}")
    while True:
        asked = draw_from(rng, "train", rng.choice((1, 1, 2, 2, 3)))
        thought_of = disturb(rng, asked, NOISE_OF_THOUGHT)
        written = disturb(rng, thought_of, NOISE_OF_CODE)
        name = draw_function_name(rng, asked) if asked.is_call else ""
        text = statement(rng, asked)
        code = program(written, draw_manner(rng), name)
        kind = rng.random()
        if kind < TRANSCRIPT_SHARE + CHAT_SHARE:
            answer = make_answer(thought(rng, thought_of), pick(rng, SOLUTION_SENTENCES, False), code)
            problem = make_problem(rng, asked, text, name)
            if kind < CHAT_SHARE:
                yield Document("", answer, asked, written, text, tuple(chat_messages(problem)))
            else:
                opened = answer.removeprefix(f"{BEGIN_THOUGHT}\n\n")
                yield Document(base_prompt(problem), opened, asked, written, text)
        else:
            prompt, answer = short_text(rng, asked, thought_of, text, code, name)
            yield Document(prompt, answer, asked, written, text)


def short_text(
    rng: random.Random, asked: Pipeline, thought_of: Pipeline, text: str, code: str, name: str
) -> tuple[str, str]:
    """A statement with a program, in one of the shapes that such things have; (prompt, answer)."""
    if name:
        text += f" Write `{name}({asked.source.arguments})`."
    block = f"```python\n{code}\n```"
    return rng.choice((
        (f"{text}\n\n", block),
        (f"{text}\n\n", f"{thought(rng, thought_of)}\n\n{block}"),
        ("", f"{thought(rng, thought_of)}\n\n{block}"),
        (f"# {text}\n", code),
    ))


def instruct_documents(seed: int) -> Iterator[Document]:
    """The instruct corpus, without end; the same documents for the same seed."""
    rng = random.Random(f"instruct {seed}")
    while True:
        asked = draw_from(rng, "train", rng.choice((1, 2, 3)), FINETUNED_PIECES)
        name = draw_function_name(rng, asked) if asked.is_call else ""
        text = statement(rng, asked, plain=True)
        answer = make_answer(thought(rng, asked, plain=True), SOLUTION_SENTENCES[0], program(asked, Manner(), name))
        messages = tuple(chat_messages(make_problem(rng, asked, text, name)))
        yield Document("", answer, asked, asked, text, messages)


def make_answer(thoughts: str, sentence: str, code: str) -> str:
    return render(thoughts, f"{sentence}\n\n```python\n{code}\n```")


def make_problem(rng: random.Random, asked: Pipeline, text: str, name: str) -> dict:
    """A problem as `hindsight.prompts` takes it, with a random example of moderate length."""
    example = min((draw_arguments(rng, asked.source) for _ in range(3)), key=lambda arguments: len(str(arguments)))
    return {
        "question": question(text, asked, name, example),
        "starter_code": starter_code(asked, name),
        "fn_name": name or None,
    }
