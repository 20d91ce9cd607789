"""The length of a row in tokens of the model that is trained on it."""

from pathlib import Path

from hindsight.curation.training_rows import TrainingRow
from hindsight.errors import UserError, require

ANY_LENGTH = 1 << 30  # a model_max_length that no row exceeds: transformers warns about longer texts


class TokenCounter:
    """Counts the tokens of a row: of its chat in the chat template or, with `base`, of its transcript.

    `tokenizer` is a folder or a Hub name, `chat_template` a Jinja file, "" for the tokenizer's own template. Raises
    UserError if the tokenizer cannot be read, or if a chat needs a template and there is none.
    """

    def __init__(self, tokenizer: str, chat_template: str, base: bool):
        from transformers import PreTrainedTokenizerFast  # slow to import; AutoTokenizer would also import torch

        self.base = base
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
        if self.base:
            return self._count(row.prompt + row.answer, add_special_tokens=True) + 1  # 1 for the end of text
        text = self._tokenizer.apply_chat_template(row.messages(), chat_template=self._template, tokenize=False)
        return self._count(str(text), add_special_tokens=False)

    def _count(self, text: str, add_special_tokens: bool) -> int:
        """As many tokens as the tokenizer itself finds; faster, because no offsets are computed."""
        return len(self._fast.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0])
