"""What a row of a fine-tuning dataset is, how many tokens it has, and the files that hold rows.

    sharegpt    {"system": "You solve ...", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}
    jsonl       {"messages": [{"role": "system", "content": "You solve ..."}, {"role": "user", ...}, ...]}
    parquet     the same columns

`sharegpt` is LLaMA-Factory's form, a JSON array; the others are what TRL and `datasets` read. A base model's row has no
chat: its system message is empty in the first form, in the others it is TRL's {"prompt": "...", "completion": "..."}.
LLaMA-Factory reads all of them by their entry in dataset_info.json.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.problem_sets.local_files import file_digest
from hindsight.text.prompts import Prompts

SUFFIXES = {"sharegpt": ".json", "jsonl": ".jsonl", "parquet": ".parquet"}
BATCH = 1000  # rows that a Parquet file gets at once
ANY_LENGTH = 1 << 30  # so that counting the tokens of a long row is no reason to warn


@dataclass(frozen=True)
class Row:
    """A row: system message (empty where there is none, as for a base model), prompt and answer."""

    system: str
    prompt: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """As a chat."""
        turns = [("system", self.system), ("user", self.prompt), ("assistant", self.answer)]
        return [{"role": role, "content": content} for role, content in turns[not self.system :]]


def make_row(record: dict[str, Any], prompts: Prompts, base: bool) -> Row:
    """The row of a converted answer. With `base`, prompt and answer put together are the base model's transcript."""
    problem, answer = record["metadata"], record["converted_text"]
    if not base:
        *system, user = (message["content"] for message in prompts.chat(problem))
        return Row("".join(system), user, answer)
    before = prompts.transcript(problem).removesuffix(prompts.opening(problem))
    prompt = before.rstrip(" ")  # a token holds the space in front of a word, so the space is the answer's
    return Row("", prompt, before[len(prompt) :] + answer)


class TokenCounter:
    """How many tokens a row has for the model that is trained on it: with its chat template, or as a transcript.

    `tokenizer` is a folder or a Hub name, `chat_template` a Jinja file, "" for the tokenizer's own. Raises UserError
    when there is no tokenizer, or no template for rows that need one.
    """

    def __init__(self, tokenizer: str, chat_template: str, base: bool):
        from transformers import PreTrainedTokenizerFast  # a slow import; AutoTokenizer's would be torch's, too

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
            f"{tokenizer} has no chat template, as base models have none: name the file of the one that it is trained "
            "with by CHAT_TEMPLATE (SkyThought/train has that of Llama 3)",
        )

    def __call__(self, row: Row) -> int:
        if self.base:
            return self._count(row.prompt + row.answer, add_special_tokens=True) + 1  # and the end of text
        text = self._tokenizer.apply_chat_template(row.messages(), chat_template=self._template, tokenize=False)
        return self._count(text, add_special_tokens=False)

    def _count(self, text: str, add_special_tokens: bool) -> int:
        """The same as the tokenizer itself gives, without the offsets that it would find, too."""
        return len(self._fast.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0])


class RowFile:
    """A file that rows are written to, in one of the forms."""

    def __init__(self, path: Path, form: str, base: bool):
        self._path = path
        self._writer = {"sharegpt": _ShareGpt, "jsonl": _JsonLines, "parquet": _Parquet}[form](path, base)

    def add(self, row: Row) -> None:
        """Adds a row."""
        self._writer.add(row)

    def close(self) -> str:
        """Ends the file; the digest of its bytes."""
        self._writer.close()
        return file_digest(self._path)


class _JsonLines:
    def __init__(self, path: Path, base: bool):
        self._file, self._base = path.open("w", encoding="utf-8"), base

    def add(self, row: Row) -> None:
        self._file.write(json.dumps(columns(row, self._base), ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _ShareGpt:
    def __init__(self, path: Path, base: bool):
        self._file, self._separator = path.open("w", encoding="utf-8"), "[\n"

    def add(self, row: Row) -> None:
        self._file.write(self._separator + json.dumps(sharegpt(row), ensure_ascii=False))
        self._separator = ",\n"

    def close(self) -> None:
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, base: bool):
        import pyarrow
        import pyarrow.parquet

        self._arrow, self._base, self._rows = pyarrow, base, []
        text = pyarrow.string()
        message = pyarrow.struct([("role", text), ("content", text)])
        fields = [("prompt", text), ("completion", text)] if base else [("messages", pyarrow.list_(message))]
        self._schema = pyarrow.schema(fields)
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema)

    def add(self, row: Row) -> None:
        self._rows.append(columns(row, self._base))
        if len(self._rows) == BATCH:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def sharegpt(row: Row) -> dict[str, Any]:
    """A row in ShareGPT's form."""
    turns = [{"from": "human", "value": row.prompt}, {"from": "gpt", "value": row.answer}]
    return {"system": row.system, "conversations": turns}


def columns(row: Row, base: bool) -> dict[str, Any]:
    """A row as TRL and `datasets` take it: a chat, or a base model's prompt and completion."""
    return {"prompt": row.prompt, "completion": row.answer} if base else {"messages": row.messages()}


def dataset_entry(file_name: str, form: str, base: bool) -> dict[str, Any]:
    """The dataset's entry in LLaMA-Factory's dataset_info.json."""
    entry: dict[str, Any] = {"file_name": file_name}
    if form == "sharegpt":
        tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
        return {
            **entry,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system"},
            "tags": tags,
        }
    if base:
        return {**entry, "formatting": "alpaca", "columns": {"prompt": "prompt", "response": "completion"}}
    roles = {f"{role}_tag": role for role in ("user", "assistant", "system")}
    tags = {"role_tag": "role", "content_tag": "content", **roles}
    return {**entry, "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}


def is_unicode(texts: Iterable[str]) -> bool:
    """Whether texts can be written as UTF-8: none holds half of a surrogate pair."""
    try:
        for text in texts:
            text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file that was written so. Raises UserError when it is no such file."""
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            found = pyarrow.parquet.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            found = [json.loads(line) for line in path.read_bytes().splitlines()]
        else:
            found = json.loads(path.read_bytes())
        yield from map(_as_row, found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no file of convert_to_data.py ({error!r})") from None


def _as_row(row: dict[str, Any]) -> Row:
    if "conversations" in row:
        return Row(row["system"], *(turn["value"] for turn in row["conversations"]))
    if "messages" in row:
        *system, user, assistant = (message["content"] for message in row["messages"])
        return Row("".join(system), user, assistant)
    return Row("", row["prompt"], row["completion"])
