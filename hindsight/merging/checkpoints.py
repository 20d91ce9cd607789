"""Checkpoint folders as merging needs them: where each tensor's bytes lie, the config, the tokenizer's tokens.

A checkpoint is one `model.safetensors`, or several named by `model.safetensors.index.json`. A safetensors file is eight
bytes with the length of its header, the header (JSON: dtype, shape and place of each tensor), and the tensors' bytes
(https://github.com/huggingface/safetensors, "Format"). Only headers are read here; no tensor, no model.
"""

import json
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from hindsight.errors import UserError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5", ".onnx")
PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "consolidated*.pth")
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's bytes lie: `size` bytes from `offset` on, elements in row-major order."""

    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it has; 1 for a tensor without dimensions."""
        return math.prod(self.shape)

    @property
    def dtype_name(self) -> str:
        """As people write it: bfloat16."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def size(self) -> int:
        """In bytes."""
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder: the name it was asked for by, its config and its tensors in the order of its files."""

    name: str
    folder: Path
    config: dict[str, Any]
    tensors: dict[str, StoredTensor]

    def setting(self, key: str) -> Any:
        """A value of the config, or of its text model's where the model has several parts; None when neither has it."""
        return self.config.get(key, (self.config.get("text_config") or {}).get(key))

    @property
    def revision(self) -> str | None:
        """The Hub's commit, where the folder is a snapshot in its cache."""
        return self.folder.name if self.folder.parent.name == "snapshots" else None

    def files(self) -> dict[str, list[int]]:
        """Size in bytes and time of change in nanoseconds of each file of weights."""
        paths = sorted({tensor.file for tensor in self.tensors.values()})
        return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in paths}


def open_checkpoint(name: str | Path, cache: str | None = None) -> Checkpoint:
    """A folder's checkpoint, or the Hub's, downloaded. Raises UserError, with what to do, when it cannot be merged."""
    folder = resolve_checkpoint(str(name), cache)
    if (folder / "adapter_config.json").exists():
        raise UserError(f"{folder} is an adapter; merge it into its model first (peft's merge_and_unload)")
    tensors, named = {}, _weight_map(folder)
    for path in sorted(set(named.values())) or [folder / SINGLE]:
        tensors.update(read_header(path))
    for tensor in named.keys() - tensors.keys():
        raise UserError(f"{named[tensor]} lacks {tensor}, which {INDEX} says is there")
    config = _read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    return Checkpoint(str(name), folder, config, tensors)


def resolve_checkpoint(name: str, cache: str | None = None) -> Path:
    """A checkpoint's folder: as given, or the Hub's (NAME or NAME@REVISION), downloaded into `cache` or the usual one.

    Raises UserError when there is neither.
    """
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise UserError(f"there is no checkpoint folder {name}")
    from huggingface_hub import snapshot_download

    try:
        repo, _, revision = name.partition("@")
        unwanted = ["*.bin", "*.pth", "*.gguf", "original/*"]
        return Path(snapshot_download(repo, revision=revision or None, cache_dir=cache, ignore_patterns=unwanted))
    except Exception as error:  # the Hub's client lets the errors of several HTTP libraries through
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"there is no folder {name}, and the Hub's checkpoint cannot be loaded: {reason}") from None


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, in the order of their bytes. Raises UserError when the file is not whole."""
    try:
        with path.open("rb") as file:
            header, begin = _header(file)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise UserError(f"{path} is named in {INDEX} and is not there") from None
    except (struct.error, ValueError) as error:
        raise UserError(f"{path} is no safetensors file ({error})") from None
    tensors = {}
    header.pop("__metadata__", None)
    try:
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            if entry["dtype"] not in DTYPES:
                raise UserError(f"{path}: {name} is of dtype {entry['dtype']}: a quantised model cannot be merged")
            first, last = entry["data_offsets"]
            tensor = StoredTensor(path, DTYPES[entry["dtype"]], tuple(entry["shape"]), begin + first)
            if tensor.size != last - first:
                raise UserError(f"{path}: {name} has {last - first} bytes, its shape and dtype want {tensor.size}")
            if begin + last > size:
                raise UserError(f"{path} is cut off: it has {size} bytes, {name} ends at {begin + last}")
            tensors[name] = tensor
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no safetensors file (its header: {error!r})") from None
    return tensors


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"its header is a {type(header).__name__}")
    return header, 8 + length


def read_tensor(tensor: StoredTensor) -> torch.Tensor:
    """A tensor, whole."""
    if not tensor.size:
        return torch.empty(tensor.shape, dtype=tensor.dtype)
    with tensor.file.open("rb") as file:
        file.seek(tensor.offset)
        content = bytearray(tensor.size)
        if file.readinto(content) != tensor.size:
            raise UserError(f"{tensor.file} became shorter while it was read")
    return torch.frombuffer(content, dtype=tensor.dtype).reshape(tensor.shape)


def header_bytes(tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]]) -> tuple[bytes, dict[str, int]]:
    """A safetensors file's beginning for tensors in this order, and the offset of each in the file."""
    places, entries, end = {}, {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape) in tensors.items():
        places[name], size = end, math.prod(shape) * dtype.itemsize
        entries[name] = {"dtype": DTYPE_NAMES[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors begin aligned
    return struct.pack("<Q", len(header)) + header, {name: 8 + len(header) + place for name, place in places.items()}


def vocabulary(folder: Path) -> dict[int, str] | None:
    """The token of each id, as `tokenizer.json` has them; None when there is no such file."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return None
    content = _read_json(path)
    vocab = (content.get("model") or {}).get("vocab") or {}
    pairs: Iterator[tuple[int, str]]
    if isinstance(vocab, dict):
        pairs = ((index, token) for token, index in vocab.items())
    else:  # a Unigram model's: pairs of token and score
        pairs = ((index, token) for index, (token, _) in enumerate(vocab))
    return dict(pairs) | {token["id"]: token["content"] for token in content.get("added_tokens") or []}


def _weight_map(folder: Path) -> dict[str, Path]:
    """The file of each tensor by the folder's index; empty for a single file. Raises UserError for other folders."""
    if (folder / INDEX).exists():
        weight_map = _read_json(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise UserError(f"{folder / INDEX} lacks weight_map")
        return {name: folder / file for name, file in weight_map.items()}
    if (folder / SINGLE).exists():
        return {}
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    if pickled:
        convert = f'AutoModelForCausalLM.from_pretrained("{folder}", dtype="auto").save_pretrained("NEW_FOLDER")'
        raise UserError(
            f"{folder} has its weights as pickle only ({pickled[0]}), which can run programs when read; convert it, "
            f"in Python: from transformers import AutoModelForCausalLM; {convert}"
        )
    raise UserError(f"{folder} has neither {INDEX} nor {SINGLE}: it holds no weights")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is not whole JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected an object")
    return content
