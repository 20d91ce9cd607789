"""Safetensors files: where each tensor's bytes are, reading them in chunks, writing them in place.

A safetensors file is eight bytes with the length of its header, the header (JSON: dtype, shape and place of each
tensor), and the tensors' bytes (https://github.com/huggingface/safetensors, "Format").
"""

import hashlib
import json
import math
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from hindsight.errors import UserError

CHUNK = 1 << 23  # bytes of a tensor read at once, a multiple of a block in every dtype
LONGEST_HEADER = 100_000_000  # bytes; the safetensors library has the same limit
LFS = b"version https://git-lfs"
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class StoredTensor:
    """The place of a tensor: `size` bytes of a file, starting at `offset`, with the elements in row-major order."""

    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def elements(self) -> int:
        """The number of elements; 1 for a tensor without dimensions."""
        return math.prod(self.shape)

    @property
    def dtype_name(self) -> str:
        """The dtype without torch's prefix, such as bfloat16."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def size(self) -> int:
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True)
class ComputedTensor(StoredTensor, ABC):
    """A tensor that is computed from stored ones while it is read, in blocks of whole rows.

    `file` is the file that errors name. A block has `block_rows` rows, so that its memory is bounded and its bits do
    not depend on how much is read at once.
    """

    @property
    @abstractmethod
    def block_rows(self) -> int:
        """The number of rows in a block."""

    @abstractmethod
    def block(self, reader: "TensorReader", first: int) -> torch.Tensor:
        """The rows from `first` on, as many as a block has or are left."""


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, in the order of their bytes.

    Raises UserError if the file is cut off or malformed, and FileNotFoundError if it does not exist.
    """
    try:
        with path.open("rb") as file:
            header, begin = _parse_header(file)
            file_size = os.fstat(file.fileno()).st_size
    except (struct.error, ValueError, RecursionError) as error:
        with path.open("rb") as file:
            is_pointer = file.read(len(LFS)) == LFS
        if is_pointer:
            raise UserError(f"{path} is a pointer of Git LFS and not the file itself: run git lfs pull") from None
        raise UserError(f"{path} is not a safetensors file ({error})") from None
    tensors = {}
    header.pop("__metadata__", None)
    try:
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            if entry["dtype"] not in DTYPES:
                raise UserError(f"{path}: {name} is of dtype {entry['dtype']}: a quantised model cannot be merged")
            first, last = entry["data_offsets"]
            tensor = StoredTensor(path, DTYPES[entry["dtype"]], tuple(entry["shape"]), begin + first)
            if tensor.size != last - first:
                expected = f"its shape and dtype need {tensor.size}"
                raise UserError(f"{path}: {name} has {last - first} bytes, {expected}")
            if begin + last > file_size:
                raise UserError(f"{path} is cut off: it has {file_size} bytes, {name} ends at {begin + last}")
            tensors[name] = tensor
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a safetensors file (its header: {error!r})") from None
    return tensors


def _parse_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """A file's header, and the offset of its first tensor."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"its header is a {type(header).__name__}")
    return header, 8 + length


def _header_bytes(tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> tuple[bytes, dict[str, int]]:
    """The first bytes of a safetensors file with these tensors, and the offset of each tensor in the file."""
    places: dict[str, int] = {}
    entries: dict[str, dict[str, Any]] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        places[name], size = end, math.prod(shape) * dtype.itemsize
        entries[name] = {"dtype": DTYPE_NAMES[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors begin aligned
    return struct.pack("<Q", len(header)) + header, {name: 8 + len(header) + place for name, place in places.items()}


class TensorReader:
    """Reads bytes of tensors, in a `with` statement: the files stay open until its end."""

    def __init__(self) -> None:
        self._files: dict[Path, int] = {}
        self._computed: tuple[ComputedTensor, int, memoryview] | None = None  # the block that was read last
        self._kept: tuple[ComputedTensor, Any] | None = None

    def __enter__(self) -> "TensorReader":
        return self

    def __exit__(self, *exception: object) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def read(self, tensor: StoredTensor, offset: int, into: memoryview) -> None:
        """Fills `into` with the tensor's bytes from `offset`. Raises UserError if the file has become shorter."""
        if isinstance(tensor, ComputedTensor):
            self._read_computed(tensor, offset, into)
            return
        if tensor.file not in self._files:
            self._files[tensor.file] = os.open(tensor.file, os.O_RDONLY)
        done = 0
        while done < len(into):
            count = os.preadv(self._files[tensor.file], [into[done:]], tensor.offset + offset + done)
            if not count:
                raise UserError(f"{tensor.file} became shorter while it was read")
            done += count

    def _read_computed(self, tensor: ComputedTensor, offset: int, into: memoryview) -> None:
        size = tensor.block_rows * (tensor.size // tensor.shape[0])  # in bytes
        while len(into):
            content = self._block(tensor, offset // size)[offset % size :][: len(into)]
            into[: len(content)] = content
            into, offset = into[len(content) :], offset + len(content)

    def _block(self, tensor: ComputedTensor, number: int) -> memoryview:
        if self._computed is None or self._computed[0] is not tensor or self._computed[1] != number:
            self._computed = None  # frees its memory before the next block is computed
            if self._kept and self._kept[0] is not tensor:
                self._kept = None
            content = tensor.block(self, number * tensor.block_rows).contiguous()
            self._computed = tensor, number, content.view(-1).view(torch.uint8).numpy().data
        return self._computed[2]

    def keep(self, tensor: ComputedTensor, compute: Callable[[], Any]) -> Any:
        """A value that all blocks of a tensor need, computed once and kept until another tensor is read in blocks."""
        if self._kept is None or self._kept[0] is not tensor:
            self._kept = None
            self._kept = tensor, compute()
        return self._kept[1]

    def read_rows(self, tensor: StoredTensor, first: int, count: int) -> torch.Tensor:
        """`count` rows of a tensor, from row `first` on; fewer at its end."""
        count = min(count, tensor.shape[0] - first)
        row = tensor.size // tensor.shape[0]
        content = bytearray(count * row)
        self.read(tensor, first * row, memoryview(content))
        return torch.frombuffer(content, dtype=tensor.dtype).reshape(count, *tensor.shape[1:])

    def read_whole(self, tensor: StoredTensor) -> torch.Tensor:
        return self.read_elements(tensor, 0, tensor.elements).reshape(tensor.shape)

    def read_elements(self, tensor: StoredTensor, first: int, count: int) -> torch.Tensor:
        """One-dimensional."""
        if not count:
            return torch.empty(0, dtype=tensor.dtype)
        content = bytearray(count * tensor.dtype.itemsize)
        self.read(tensor, first * tensor.dtype.itemsize, memoryview(content))
        return torch.frombuffer(content, dtype=tensor.dtype)

    def digest(self, tensor: StoredTensor) -> str:
        """SHA-256."""
        sha = hashlib.sha256()
        for offset in range(0, tensor.size, CHUNK):
            content = memoryview(bytearray(min(CHUNK, tensor.size - offset)))
            self.read(tensor, offset, content)
            sha.update(content)
        return sha.hexdigest()


class TensorWriter:
    """Writes a safetensors file: its header at once, then any bytes of any tensor, in any order."""

    def __init__(self, path: Path, tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]):
        header, self._places = _header_bytes(tensors)
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self._write_all(header, 0)

    def write(self, name: str, offset: int, content: memoryview) -> None:
        """Writes bytes of a tensor, starting `offset` bytes from its beginning."""
        self._write_all(content, self._places[name] + offset)

    def close(self) -> None:
        """Closes the file. Raises OSError if the disk reports a delayed error."""
        os.close(self._file)

    def _write_all(self, content: bytes | memoryview, offset: int) -> None:
        view = memoryview(content)
        while view:
            try:
                count = os.pwrite(self._file, view, offset)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            view, offset = view[count:], offset + count
