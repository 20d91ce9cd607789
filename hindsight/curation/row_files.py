"""The files that hold rows, written and read, and how LLaMA-Factory's dataset_info.json describes them.

    sharegpt    {"system": "You solve ...", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}
    jsonl       {"messages": [{"role": "system", "content": "You solve ..."}, {"role": "user", ...}, ...]}
    parquet     the same columns as jsonl

`sharegpt` is LLaMA-Factory's format, one JSON array; TRL and `datasets` read the other two. A base model's row is not a
chat: in sharegpt its system message is empty, in the others it is TRL's {"prompt": "...", "completion": "..."}.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hindsight.curation.training_rows import TrainingRow
from hindsight.errors import UserError

SUFFIXES = {"sharegpt": ".json", "jsonl": ".jsonl", "parquet": ".parquet"}
BATCH = 1000  # rows written to a Parquet file at once


class RowWriter(Protocol):
    """Writes rows to a new file in one format."""

    def __init__(self, path: Path, base: bool): ...
    def add(self, row: TrainingRow) -> None: ...
    def close(self) -> None: ...


class _JsonLinesWriter:
    def __init__(self, path: Path, base: bool):
        self._file, self._base = path.open("w", encoding="utf-8"), base

    def add(self, row: TrainingRow) -> None:
        self._file.write(json.dumps(_columns(row, self._base), ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _ShareGptWriter:
    def __init__(self, path: Path, base: bool):
        self._file, self._separator = path.open("w", encoding="utf-8"), "[\n"

    def add(self, row: TrainingRow) -> None:
        turns = [{"from": "human", "value": row.prompt}, {"from": "gpt", "value": row.answer}]
        content = json.dumps({"system": row.system, "conversations": turns}, ensure_ascii=False)
        self._file.write(self._separator + content)
        self._separator = ",\n"

    def close(self) -> None:
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path, base: bool):
        import pyarrow
        import pyarrow.parquet

        self._base, self._rows = base, []
        text = pyarrow.string()
        message = pyarrow.struct([("role", text), ("content", text)])
        fields = [("prompt", text), ("completion", text)] if base else [("messages", pyarrow.list_(message))]
        self._writer = pyarrow.parquet.ParquetWriter(path, pyarrow.schema(fields))
        self._table = partial(pyarrow.Table.from_pylist, schema=self._writer.schema)

    def add(self, row: TrainingRow) -> None:
        self._rows.append(_columns(row, self._base))
        if len(self._rows) == BATCH:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(self._table(self._rows))
        self._rows = []


WRITERS: dict[str, type[RowWriter]] = {
    "sharegpt": _ShareGptWriter,
    "jsonl": _JsonLinesWriter,
    "parquet": _ParquetWriter,
}


def _columns(row: TrainingRow, base: bool) -> dict[str, Any]:
    """A row in TRL's format: a chat, or a base model's prompt and completion."""
    return {"prompt": row.prompt, "completion": row.answer} if base else {"messages": row.messages()}


def dataset_entry(file_name: str, form: str, base: bool) -> dict[str, Any]:
    """The file's entry in LLaMA-Factory's dataset_info.json."""
    if base and form != "sharegpt":
        columns = {"prompt": "prompt", "response": "completion"}
        return {"file_name": file_name, "formatting": "alpaca", "columns": columns}
    if form == "sharegpt":
        columns = {"messages": "conversations", "system": "system"}
        tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    else:
        columns = {"messages": "messages"}
        tags = {"role_tag": "role", "content_tag": "content"}
        tags |= {f"{role}_tag": role for role in ("user", "assistant", "system")}
    return {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": tags}


def read_rows(path: Path) -> Iterator[TrainingRow]:
    """The rows of a file in any of the formats. Raises UserError if it is not one of these."""
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
        raise UserError(f"{path} is not a file of rows by convert_to_data.py ({error!r})") from None


def _as_row(row: dict[str, Any]) -> TrainingRow:
    if "conversations" in row:
        return TrainingRow(row["system"], *(turn["value"] for turn in row["conversations"]))
    if "messages" in row:
        *system, user, assistant = (message["content"] for message in row["messages"])
        return TrainingRow("".join(system), user, assistant)
    return TrainingRow("", row["prompt"], row["completion"])
