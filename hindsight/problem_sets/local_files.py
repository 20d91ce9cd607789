"""The rows of a JSONL, Parquet or Arrow file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from hindsight.errors import UserError


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as "sha256:..."."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


class JsonLines:
    """Rows of a JSONL file by number, each read from the file when it is needed."""

    def __init__(self, path: Path):
        self.path = path
        self._offsets = []
        with path.open("rb") as file:
            offset = 0
            for line in file:
                if line.strip():
                    self._offsets.append(offset)
                offset += len(line)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, number: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            file.seek(self._offsets[number])
            line = file.readline()
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{self.path} is not JSONL: row {number} is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{self.path}: row {number} is a {type(row).__name__}, expected an object with a question")
        return row


def file_rows(path: Path) -> Any:
    """The rows of a file, by number. Raises UserError if it cannot be read."""
    return JsonLines(path) if path.suffix in (".jsonl", ".json") else _arrow_rows(path)


def _arrow_rows(path: Path) -> Any:
    """A memory-mapped `datasets.Dataset` of a Parquet or Arrow file."""
    import datasets

    kind = {".parquet": "parquet", ".arrow": "arrow"}.get(path.suffix)
    if kind is None:
        raise UserError(f"{path} is neither .jsonl, .parquet nor .arrow")
    try:
        return datasets.load_dataset(kind, data_files=str(path), split="train")
    except Exception as error:  # `datasets` raises its own errors and pyarrow's
        raise UserError(f"{path} cannot be read as {kind}: {error.__cause__ or error}") from None
