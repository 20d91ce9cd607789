"""A row of a fine-tuning dataset: a prompt and the answer that the model learns to give."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hindsight.text.prompts import Prompts


@dataclass(frozen=True)
class RowOptions:
    """How an answer becomes a row: as a chat or, with `base`, as a base model's transcript; with which prompts."""

    base: bool
    prompt_file: str


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


def make_row(record: Mapping[str, Any], prompts: Prompts, base: bool) -> TrainingRow:
    """The row of a converted answer. With `base`, prompt and answer together are the base model's transcript."""
    problem, answer = record["metadata"], record["converted_text"]
    if not base:
        *system, user = (message["content"] for message in prompts.chat(problem))
        return TrainingRow("".join(system), user, answer)
    before = prompts.transcript(problem).removesuffix(prompts.thought_opening(problem))
    prompt = before.rstrip(" ")  # a token includes the space before its word, so the space belongs to the answer
    return TrainingRow("", prompt, before[len(prompt) :] + answer)
