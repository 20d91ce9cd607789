"""The rows of a file: JSONL (also gzipped), JSON, Parquet or Arrow."""

import codecs
import gzip
import hashlib
import json
import os
import shutil
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from hindsight.errors import UserError

GZIPPED = ".jsonl.gz"
SUFFIXES = (".jsonl", GZIPPED, ".json", ".parquet", ".arrow")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as "sha256:..."."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def files_digest(paths: Sequence[Path]) -> str:
    """The digest of a file, or one of several files in their order."""
    if len(paths) == 1:
        return file_digest(paths[0])
    return f"sha256:{hashlib.sha256(' '.join(map(file_digest, paths)).encode()).hexdigest()}"


class JsonLines:
    """Rows of a JSONL file by number, each read from the file when it is needed.

    A gzipped file is unpacked once, to a temporary file without a name.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = path.open("rb")
        if path.name.endswith(GZIPPED):
            self._file = _unpack(path)
        self._lines: list[tuple[int, int]] = []  # start and length
        offset = 0
        for line in self._file:
            if line.strip():
                self._lines.append((offset, len(line)))
            offset += len(line)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> dict[str, Any]:
        offset, length = self._lines[number]
        return _row(self.path, number, os.pread(self._file.fileno(), length, offset))


class _JsonList:
    """Rows of a JSON file that is one list, all in memory."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._rows = json.loads(path.read_bytes())
        except ValueError as error:
            raise UserError(f"{path} is not JSON ({error})") from None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return _require_object(self.path, number, self._rows[number])


class ManyFiles:
    """The rows of several files, one file after the other."""

    def __init__(self, paths: Sequence[Path]):
        self._parts = [file_rows(path) for path in paths]
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, number: int) -> dict[str, Any]:
        part = bisect_right(self._ends, number)
        return self._parts[part][number - (self._ends[part - 1] if part else 0)]


def file_rows(path: Path) -> Any:
    """The rows of a file, by number. Raises UserError if it cannot be read."""
    if path.name.endswith((".jsonl", GZIPPED)):
        return JsonLines(path)
    if path.suffix == ".json":
        with path.open("rb") as file:
            is_list = file.read(1000).removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["
        return (_JsonList if is_list else JsonLines)(path)
    return arrow_rows([path])


def arrow_rows(paths: Sequence[Path]) -> Any:
    """A memory-mapped `datasets.Dataset` of Parquet or Arrow files."""
    import datasets

    kind = {".parquet": "parquet", ".arrow": "arrow"}.get(paths[0].suffix)
    if kind is None:
        raise UserError(f"{paths[0]} is none of {', '.join(SUFFIXES)}")
    try:
        return datasets.load_dataset(kind, data_files=list(map(str, paths)), split="train")
    except Exception as error:  # `datasets` raises its own errors and pyarrow's
        raise UserError(f"{paths[0]} cannot be read as {kind}: {error.__cause__ or error}") from None


def _unpack(path: Path) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the rows do
    try:
        with gzip.open(path) as packed:
            shutil.copyfileobj(packed, file)
    except (OSError, EOFError) as error:
        raise UserError(f"{path} is not valid gzip ({error})") from None
    file.seek(0)
    return file


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    sys.set_int_max_str_digits(0)  # tests may have longer integers than Python's limit allows
    try:
        return _require_object(path, number, json.loads(line))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSONL: row {number} is not JSON ({error})") from None


def _require_object(path: Path, number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f"{path}: row {number} is a {type(row).__name__}, expected an object with a question")
    return row
