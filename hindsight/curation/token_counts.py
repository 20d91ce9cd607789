"""The length of a row in tokens of the model that is trained on it."""

import re
from pathlib import Path
from typing import Any

from hindsight.curation.training_rows import BEGIN_THINK, END_THINK, TrainingRow
from hindsight.errors import UserError, require

ANY_LENGTH = 1 << 30  # a model_max_length that no row exceeds: transformers warns about longer texts
ANSWER = "THE-ANSWER-OF-THIS-ROW"  # stands for an answer in a rendered chat
_EMPTY_THOUGHT = re.compile(rf"{BEGIN_THINK}\s*(?:{END_THINK}\s*)?$")  # put before an answer by the chat template


class TokenCounter:
    """Counts the tokens of a row: of its chat in the chat template or, with `base`, of its transcript.

    The whole answer is counted, because it is trained on, including what the template drops from answers of earlier
    turns, as DeepSeek-R1's does with everything before </think>. `tokenizer` is a folder or a Hub name,
    `chat_template` a Jinja file, "" for the tokenizer's own template. Raises UserError if the tokenizer cannot be read,
    or if a chat needs a template and there is none.
    """

    def __init__(self, tokenizer: str, chat_template: str, base: bool):
        from transformers import PreTrainedTokenizerFast  # slow to import; AutoTokenizer would also import torch

        self.base = base
        self._source = chat_template or tokenizer
        try:
            self._tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer, model_max_length=ANY_LENGTH)
            self._template = Path(chat_template).read_text(encoding="utf-8") if chat_template else None
        except (OSError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"TOKENIZER {tokenizer!r} or CHAT_TEMPLATE cannot be read: {reason}") from None
        self._fast = self._tokenizer.backend_tokenizer
        self._fast.no_truncation()
        self._fast.no_padding()
        require(
            bool(base or self._template or self._tokenizer.chat_template),
            f"{tokenizer} has no chat template, like most base models: set CHAT_TEMPLATE to the file of the template "
            "that the model is trained with (SkyThought/train has Llama 3's)",
        )

    def __call__(self, row: TrainingRow) -> int:
        """Raises UserError for a chat that the template refuses."""
        if self.base:
            return self._count(row.prompt + row.answer, add_special_tokens=True) + 1  # 1 for the end of text
        text = self._render(row.messages())
        if row.answer not in text:
            text = self._render_whole(row)
        return self._count(text, add_special_tokens=False)

    def drops_thought(self) -> bool:
        """Whether the template leaves out the part of an answer before </think>."""
        row = TrainingRow("", "question", f"{BEGIN_THINK}\n{ANSWER}\n{END_THINK}\n\nsolution")
        return not self.base and ANSWER not in self._render(row.messages())

    def _render(self, messages: list[dict[str, Any]]) -> str:
        from jinja2 import TemplateError

        try:
            return str(self._tokenizer.apply_chat_template(messages, chat_template=self._template, tokenize=False))
        except (TemplateError, TypeError, ValueError) as error:
            remedy = "; if it accepts no system message, give --system_prompt false, in sampling too"
            remedy *= messages[0]["role"] == "system"
            raise UserError(f"the chat template of {self._source} refuses a row ({error}){remedy}") from None

    def _render_whole(self, row: TrainingRow) -> str:
        """The chat with the answer as it is, where the template changes it or leaves a part out."""
        messages = [*row.messages()[:-1], {"role": "assistant", "content": ANSWER}]
        before, found, after = self._render(messages).partition(ANSWER)
        require(bool(found), f"the chat template of {self._source} does not show the answer of a chat")
        if row.answer.startswith(BEGIN_THINK):
            before = _EMPTY_THOUGHT.sub("", before)
        return before + row.answer + after

    def _count(self, text: str, add_special_tokens: bool) -> int:
        """The number of tokens that the tokenizer itself finds; faster, because no offsets are computed."""
        return len(self._fast.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0])
