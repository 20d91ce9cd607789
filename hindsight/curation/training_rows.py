"""A row of a fine-tuning dataset: a prompt and the answer that the model learns to give."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hindsight.errors import UserError, require
from hindsight.text import few_shot
from hindsight.text.prompt_styles import prompts_of_style
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import (
    BEGIN_SOLUTION,
    BEGIN_THOUGHT,
    END_SOLUTION,
    END_THOUGHT,
    render,
    split_uniform,
)

BEGIN_THINK, END_THINK = "<think>", "</think>"  # of Qwen3, DeepSeek-R1 and most of LLaMA-Factory's reasoning templates
_SOLUTION_LINES = re.compile(rf"^{BEGIN_SOLUTION}\n+|\n+{END_SOLUTION}$", re.MULTILINE)


@dataclass(frozen=True)
class RowOptions:
    """How an answer becomes a row: as a chat or, with `base`, as a transcript; with which prompts and tags.

    Raises UserError for think tags in a style without thoughts, and for a style that is only for sampling.
    """

    base: bool
    prompt_file: str
    system_prompt: bool
    think_tags: bool
    prompt_style: str = ""

    def __post_init__(self) -> None:
        require(self.prompt_style != few_shot.STYLE, f"PROMPT_STYLE {few_shot.STYLE} is for sampling: it makes no rows")
        no_tags = not (self.prompt_style and self.think_tags)
        require(
            no_tags, f"THINK_TAGS is for answers with a thought: those of PROMPT_STYLE {self.prompt_style} have none"
        )

    def prompts(self) -> Prompts:
        """The prompts of the rows, with the tags of the uniform format. Raises UserError as `prompts_of_style` does."""
        return prompts_of_style(self.prompt_style, self.prompt_file, self.system_prompt)


@dataclass(frozen=True)
class TrainingRow:
    """A row: system message (empty if the row has none, as for a base model), prompt and answer."""

    system: str
    prompt: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """The row as a chat."""
        turns = [("system", self.system), ("user", self.prompt), ("assistant", self.answer)]
        return [{"role": role, "content": content} for role, content in turns[not self.system :]]

    def is_unicode(self) -> bool:
        """Whether the row can be written as UTF-8: no text contains half of a surrogate pair."""
        try:
            f"{self.system}{self.prompt}{self.answer}".encode()
        except UnicodeEncodeError:
            return False
        return True


def make_row(record: Mapping[str, Any], prompts: Prompts, base: bool, think_tags: bool = False) -> TrainingRow:
    """The row of a converted answer. With `base`, prompt and answer together are the base model's transcript.

    In a prompt style the answer includes the part that the prompt begins; it is empty if it does not fit the prompt.
    Raises UserError as `with_think_tags` does.
    """
    problem = record["metadata"]
    answer = prompts.answer("base" if base else "instruct", problem, record["converted_text"])
    if base:
        before = prompts.transcript(problem).removesuffix(prompts.thought_opening(problem))
        prompt = before.rstrip(" ")  # a token includes the space before its word, so the space belongs to the answer
        row = TrainingRow("", prompt, before[len(prompt) :] + answer)
    else:
        asked = [message["content"] for message in prompts.chat(problem) if message["role"] != "assistant"]
        *system, user = asked
        row = TrainingRow("".join(system), user, answer)
    return with_think_tags(row) if think_tags else row


def with_think_tags(row: TrainingRow) -> TrainingRow:
    """The row with <think> and </think> for the tags of the thought and none for the solution, also in its prompts.

    "<think>\\n{thought}\\n</think>\\n\\n{solution}" is what Qwen3's chat template and LLaMA-Factory's `thought_words`
    make. An answer that is not in the uniform format stays as it is. Raises UserError for a prompt that names a tag of
    the solution within a sentence.
    """
    if sections := split_uniform(row.answer):
        thought, solution = sections
        space = row.answer[: len(row.answer) - len(row.answer.lstrip())]
        row = replace(row, answer=f"{space}{BEGIN_THINK}\n{thought}\n{END_THINK}\n\n{solution}")
    return replace(row, system=_with_think_tags(row.system), prompt=_with_think_tags(row.prompt))


def uniform_answer(answer: str) -> str:
    """The answer of a row in the uniform format, even if it has think tags."""
    if not (text := answer.strip()).startswith(BEGIN_THINK):
        return answer
    thought, _, solution = text.removeprefix(BEGIN_THINK).partition(END_THINK)
    return render(thought, solution)


def _with_think_tags(prompt: str) -> str:
    text = _SOLUTION_LINES.sub("", prompt)
    text = re.sub(rf"{BEGIN_THOUGHT}\n+", f"{BEGIN_THINK}\n", text).replace(BEGIN_THOUGHT, BEGIN_THINK)
    text = re.sub(rf"\n+{END_THOUGHT}", f"\n{END_THINK}", text).replace(END_THOUGHT, END_THINK)
    for tag in (BEGIN_SOLUTION, END_SOLUTION):
        if tag in text:
            raise UserError(
                f"THINK_TAGS cannot replace {tag} within a sentence of a prompt: give a --prompt_file without it"
            )
    return text
