"""Checkpoint folders: their tensors, config and vocabulary, where to find them, and the digest of their weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hindsight.errors import BrokenFile, UserError
from hindsight.files.records import read_record
from hindsight.merging.safetensors_files import StoredTensor, TensorReader, read_header

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5", ".onnx")
PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "consolidated*.pth")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder: the name that the user gave, its config, and its tensors in the order of its files."""

    name: str
    folder: Path
    config: dict[str, Any]
    tensors: dict[str, StoredTensor]

    def setting(self, key: str) -> Any:
        """A value of the config, or of its text model if the model has several parts; None if both lack it."""
        return self.config.get(key, (self.config.get("text_config") or {}).get(key))

    @property
    def revision(self) -> str | None:
        """The Hub's commit, if the folder is a snapshot in the Hub's cache."""
        return self.folder.name if self.folder.parent.name == "snapshots" else None

    def files(self) -> dict[str, list[int]]:
        """The size in bytes and modification time in nanoseconds of each file of weights."""
        paths = sorted({tensor.file for tensor in self.tensors.values()})
        return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in paths}


def open_checkpoint(name: str | Path, cache: str | None = None) -> Checkpoint:
    """Reads the headers of a folder's checkpoint, or of the Hub's after a download.

    Raises UserError, with what to do, if it cannot be merged.
    """
    folder = resolve_checkpoint(str(name), cache)
    if (folder / "adapter_config.json").exists():
        raise UserError(f"{folder} is an adapter; merge it into its model first (peft's merge_and_unload)")
    tensors, weight_map = {}, _weight_map(folder)
    for path in sorted(set(weight_map.values())) or [folder / SINGLE]:
        if not path.exists():
            raise UserError(f"{path} is named in {INDEX}, but the file is missing")
        tensors.update(read_header(path))
    for tensor in weight_map.keys() - tensors.keys():
        raise UserError(f"{weight_map[tensor]} lacks {tensor}, which {INDEX} lists")
    config = _read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    return Checkpoint(str(name), folder, config, tensors)


def resolve_checkpoint(name: str, cache: str | None = None) -> Path:
    """A checkpoint's folder: as given, or the Hub's (NAME or NAME@REVISION), downloaded into `cache` or the usual one.

    Raises UserError if there is neither.
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
    except Exception as error:  # the Hub's client passes on the errors of several HTTP libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"there is no folder {name}, and the Hub's checkpoint cannot be loaded: {reason}") from None


def checkpoint_digest(checkpoint: Checkpoint, known: Mapping[str, str] = MappingProxyType({})) -> str:
    """The SHA-256 of the sorted lines `name dtype [shape] SHA-256`, one per tensor, whatever the sharding.

    `known` has the SHA-256 of tensors that need not be read.
    """
    with TensorReader() as reader:
        lines = sorted(
            f"{name} {tensor.dtype_name} {list(tensor.shape)} {known.get(name) or reader.digest(tensor)}\n"
            for name, tensor in checkpoint.tensors.items()
        )
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def vocabulary(folder: Path) -> dict[int, str] | None:
    """The token of each id, from `tokenizer.json`; None if there is no such file."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return None
    content = _read_json(path)
    vocab = (content.get("model") or {}).get("vocab") or {}
    if not isinstance(vocab, dict):  # a Unigram model has pairs of token and score
        vocab = {token: index for index, (token, _) in enumerate(vocab)}
    tokens = {index: token for token, index in vocab.items()}
    return tokens | {token["id"]: token["content"] for token in content.get("added_tokens") or []}


def _weight_map(folder: Path) -> dict[str, Path]:
    """The file of each tensor in the folder's index; empty for a single file. Raises UserError for other folders."""
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
    raise UserError(f"{folder} has no weights: neither {INDEX} nor {SINGLE}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_record(path)
    except BrokenFile as error:
        raise UserError(str(error)) from None
