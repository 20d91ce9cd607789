"""Checkpoint folders: where they are, their tensors, config and vocabulary, and the digest of their weights."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hindsight.errors import BrokenFile, UserError
from hindsight.files.records import read_record
from hindsight.merging.rewriting import rewrite_command
from hindsight.merging.safetensors_files import StoredTensor, TensorReader, read_header

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5", ".onnx")
READABLE = "pytorch_model"  # the beginning of the names of pickles that transformers reads
OF_TRAINING = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "random_states")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder: the name that the user gave, its config, and its tensors in the order of its files.

    `old_index`: the folder has an index of files that no longer exist, beside the single file that was read.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    tensors: dict[str, StoredTensor]
    old_index: bool = False

    def setting(self, key: str) -> Any:
        """A value of the config, or of its text model if the model has several parts; None if both lack it."""
        return _setting(self.config, key)

    @cached_property
    def full_config(self) -> dict[str, Any]:
        """The config with transformers' defaults, in today's form; as it is if transformers rejects it."""
        from transformers import AutoConfig  # slow to import, and rarely needed

        try:
            return AutoConfig.for_model(**deepcopy(self.config)).to_dict()  # it changes dictionaries that it gets
        except Exception:  # each model's class checks in its own way
            return self.config

    def missing_in_transformers(self) -> list[str]:
        """The names of the tensors that transformers' model has and does not find here; none if it has no such model.

        transformers itself matches the names, on tensors without content.
        """
        import torch
        import transformers

        verbosity = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()
        try:
            name = (self.config.get("architectures") or [""])[0]
            kind: Any = getattr(transformers, name, transformers.AutoModelForCausalLM)
            empty = {name: torch.empty(tensor.shape, device="meta") for name, tensor in self.tensors.items()}
            config = transformers.AutoConfig.for_model(**deepcopy(self.config))
            options = {"config": config, "device_map": "meta", "output_loading_info": True}
            _, found = kind.from_pretrained(None, state_dict=empty, **options)
            return sorted(found["missing_keys"])
        except Exception:  # as in full_config
            return []
        finally:
            transformers.logging.set_verbosity(verbosity)

    @property
    def ties_head(self) -> bool | None:
        """Whether its head is its embedding: by its config, else by default; None for a model transformers lacks."""
        tied = self.setting("tie_word_embeddings")
        return _setting(self.full_config, "tie_word_embeddings") if tied is None else tied

    @property
    def revision(self) -> str | None:
        """The Hub's commit, if the folder is a snapshot in the Hub's cache."""
        return self.folder.name if self.folder.parent.name == "snapshots" else None

    @property
    def stored(self) -> dict[str, StoredTensor]:
        """The tensors that its own files hold."""
        return self.tensors

    @property
    def tokenizer_folder(self) -> Path:
        return self.folder

    def digested_settings(self) -> list[str]:
        """Lines of its digest for the settings that give its tensors their meaning."""
        return []

    def other_files(self) -> list[Path]:
        """Everything except weights: config, tokenizer, chat template, ..."""
        return [path for path in self.folder.iterdir() if path.is_file() and not _has_weights(path)]

    def files(self) -> dict[str, list[int]]:
        """The size in bytes and modification time in nanoseconds of each file of weights."""
        paths = sorted({tensor.file for tensor in self.stored.values()})
        return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in paths}


def with_own_head(config: dict[str, Any]) -> dict[str, Any]:
    """A config that does not tie the head to the embedding."""
    untied = {**config, "tie_word_embeddings": False}
    if "tie_word_embeddings" in config.get("text_config", {}):
        untied["text_config"] = {**config["text_config"], "tie_word_embeddings": False}
    return untied


def _has_weights(path: Path) -> bool:
    return path.suffix in WEIGHTS or path.name.endswith((".safetensors.index.json", ".bin.index.json"))


def _setting(config: dict[str, Any], key: str) -> Any:
    return config.get(key, (config.get("text_config") or {}).get(key))


def open_checkpoint(name: str | Path, cache: str | None = None) -> Checkpoint:
    """Reads the headers of a folder's checkpoint, or of the Hub's after a download.

    Raises UserError, with what to do, if it cannot be merged.
    """
    folder = resolve_checkpoint(str(name), cache)
    if (folder / ADAPTER_CONFIG).exists():
        raise UserError(f"{folder} is an adapter, and not a checkpoint that others can be merged with")
    config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    if not isinstance(config.get("text_config") or {}, dict):
        raise UserError(f"{folder / 'config.json'}: text_config is {config['text_config']!r:.60}, expected an object")
    if "transformers_weights" in config:
        own = f"{folder / 'config.json'} names its own file of weights, {config['transformers_weights']}"
        raise UserError(f"{own}; rename that file to {SINGLE} and delete transformers_weights from the config")
    weight_map, old_index = _weight_map(str(name), folder)
    tensors = {}
    for path in sorted(set(weight_map.values())) or [folder / SINGLE]:
        if not path.exists():
            raise UserError(f"{path} is named in {INDEX}, but the file is missing")
        tensors.update(read_header(path))
    for tensor in weight_map.keys() - tensors.keys():
        raise UserError(f"{weight_map[tensor]} lacks {tensor}, which {INDEX} lists")
    return Checkpoint(str(name), folder, config, tensors, old_index)


def _weight_map(name: str, folder: Path) -> tuple[dict[str, Path], bool]:
    """The file of each tensor by the folder's index, empty for a single file; and whether the index is outdated.

    An index is left beside a newer single file when transformers saves a smaller model into a folder. transformers
    then reads the single file (modeling_utils.py, `_get_resolved_checkpoint_files`), vLLM the files of the index.
    Raises UserError if there are no weights, or two sets of them.
    """
    single, index = folder / SINGLE, folder / INDEX
    if not index.exists():
        if not single.exists():
            raise UserError(_no_weights(name, folder))
        return {}, False
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise UserError(f"{index} lacks weight_map")
    for file in listed.values():
        if not isinstance(file, str) or (folder / file).is_dir():
            raise UserError(f"{index} names {file!r} where a file was expected")
    weight_map = {tensor: folder / file for tensor, file in listed.items()}
    if not single.exists() or single in weight_map.values():
        return weight_map, False
    if all(path.exists() for path in weight_map.values()):
        two = f"{folder} has two sets of weights: {SINGLE}, which transformers reads, and the files of {INDEX}"
        raise UserError(f"{two}, which vLLM reads; delete the older set")
    return {}, True


def _no_weights(name: str, folder: Path) -> str:
    """What to do about a folder, or a name on the Hub, without safetensors."""
    files = [path.name for path in folder.iterdir()] + ([] if Path(name).is_dir() else _files_on_hub(name))
    pickled = [file for file in files if file.endswith((".bin", ".pt", ".pth")) and not file.startswith(OF_TRAINING)]
    if not pickled:
        others = [file for file in sorted(files) if file.endswith(WEIGHTS) and not file.startswith(OF_TRAINING)]
        found = f", but {others[0]}, which transformers does not read by itself" if others else ""
        return f"{folder} has no weights: neither {INDEX} nor {SINGLE}{found}"
    first = min(pickled, key=lambda file: (not file.startswith(READABLE), file))
    only = f"{name} has its weights as pickles only ({first})"
    if not first.startswith(READABLE):
        return f"{only}, which transformers does not read either: convert them by their own library"
    return f"{only}; convert them and merge the new folder: {rewrite_command(name, folder)}"


def _files_on_hub(name: str) -> list[str]:
    """The files of a Hub's checkpoint; none if the Hub cannot be asked."""
    from huggingface_hub import list_repo_files

    repo, _, revision = name.partition("@")
    try:
        return list_repo_files(repo, revision=revision or None)
    except Exception:  # the Hub's client passes on the errors of several HTTP libraries
        return []


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
        unwanted = [f"*{suffix}" for suffix in WEIGHTS if suffix != ".safetensors"] + ["original/*"]
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
            for name, tensor in checkpoint.stored.items()
        )
    lines += checkpoint.digested_settings()
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def vocabulary(folder: Path) -> dict[int, str] | None:
    """The token of each id, from `tokenizer.json`; None if there is no such file."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return None
    content = read_json(path)
    vocab = (content.get("model") or {}).get("vocab") or {}
    if not isinstance(vocab, dict):  # a Unigram model has pairs of token and score
        vocab = {token: index for index, (token, _) in enumerate(vocab)}
    tokens = {index: token for token, index in vocab.items()}
    return tokens | {token["id"]: token["content"] for token in content.get("added_tokens") or []}


def read_json(path: Path) -> dict[str, Any]:
    try:
        return read_record(path)
    except BrokenFile as error:
        raise UserError(str(error)) from None
