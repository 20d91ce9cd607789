"""LoRA adapters as the fine-tuned model: a checkpoint that is its base with changes, computed while it is read.

An adapter is a folder that peft saved: `adapter_config.json` and `adapter_model.safetensors`, whose names are those of
the base's modules after `base_model.model.`:

    base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight    (rank, columns)
    base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight    (rows, rank)

The names in the file decide what an adapter changes; the config gives the scale. Everything that peft can save in a
LoRA adapter is either applied as peft's `merge_and_unload` does or refused by its name.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.merging.checkpoints import ADAPTER_CONFIG, Checkpoint, read_json, resolve_checkpoint
from hindsight.merging.safetensors_files import StoredTensor, read_header

ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
ROWS = "token_adapter.trainable_tokens_delta"
# The types whose change depends on the prompt or is not a change of weights: there is nothing to merge.
UNMERGEABLE = {
    "PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT", "XLORA", "POLY",
    "CARTRIDGE",
}  # fmt: skip
# Settings of LORA that make it another method; each is refused by its name.
OTHER_METHODS = (
    "layer_replication", "use_bdlora", "arrow_config", "kasa_config", "alora_invocation_tokens", "use_qalora",
    "monteclora_config",
)  # fmt: skip
PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")  # the others change the base when peft loads it
SCALES = (
    "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "fan_in_fan_out",
    "trainable_token_indices", "ensure_weight_tying",
)  # fmt: skip  # the settings that its weights need
TOKENIZER_FILES = {
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json",
}  # fmt: skip
_KEY = re.compile(
    r"(?P<module>.+?)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector|"
    r"token_adapter\.trainable_tokens_delta)(?:\.(?P<end>weight|bias))?"
)


@dataclass(frozen=True)
class Adapter:
    """An adapter's folder, the name that the user gave, its config and its tensors by their names in the file."""

    name: str
    folder: Path
    config: dict[str, Any]
    tensors: dict[str, StoredTensor]

    def setting(self, key: str, default: Any = None) -> Any:
        """A value of its config; the default also for null, which older versions of peft wrote."""
        return _given(self.config, key, default)

    def rank_of(self, module: str) -> int:
        return self._of_pattern("rank_pattern", module, self.setting("r", 8))

    def scale_of(self, module: str) -> float:
        """lora_alpha / r, or lora_alpha / sqrt(r) (Kalajdzievski 2023, "rsLoRA"), with the module's own two numbers."""
        alpha, rank = self._of_pattern("alpha_pattern", module, self.setting("lora_alpha", 8)), self.rank_of(module)
        return alpha / math.sqrt(rank) if self.setting("use_rslora") else alpha / rank

    def _of_pattern(self, key: str, module: str, default: Any) -> Any:
        """The first pattern that matches the end of a module's name (peft, `utils/other.py`, `get_pattern_key`)."""
        for pattern, value in self.setting(key, {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        return default

    def tokens_of(self, module: str) -> list[int]:
        """The rows of an embedding that it trains (`trainable_token_indices`)."""
        indices = self.setting("trainable_token_indices", [])
        if not isinstance(indices, dict):
            return list(indices)
        return next((list(rows) for name, rows in indices.items() if f".{module}".endswith(f".{name}")), [])


def is_adapter(name: str | Path) -> bool:
    """Whether a folder is an adapter's. A name on the Hub is not looked up."""
    return any((Path(name) / file).exists() for file in (ADAPTER_CONFIG, ADAPTER_WEIGHTS))


def open_adapter(name: str | Path, cache: str | None = None) -> Adapter:
    """Reads an adapter's config and the header of its weights. Raises UserError for what cannot be merged."""
    folder = resolve_checkpoint(str(name), cache)
    config_file, weights = folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS
    lacks = f"{folder} has {ADAPTER_WEIGHTS}, but no {ADAPTER_CONFIG}, which has the scale: copy it there"
    require(config_file.exists(), lacks)
    config = read_json(config_file)
    _require_lora(str(name), config)
    _require_numbers(config_file, config)
    if not weights.exists():
        raise UserError(_no_weights(str(name), folder))
    tensors = read_header(weights)
    require(bool(tensors), f"{weights} has no tensors: save the adapter again")
    return Adapter(str(name), folder, config, tensors)


def _require_lora(name: str, config: Mapping[str, Any]) -> None:
    """Raises UserError, with the type or the setting, for an adapter that is not base + scale * B A."""
    require(bool(config.get("peft_type")), f"{ADAPTER_CONFIG} of {name} has no peft_type: it was not written by peft")
    kind = str(config["peft_type"]).upper()
    if kind in UNMERGEABLE:
        raise UserError(
            f"{name} is an adapter of type {kind}, which does not change weights: there is nothing to merge"
        )
    first = "merge it into its base first (peft's merge_and_unload) and give the merged model"
    if kind != "LORA":
        raise UserError(f"{name} is an adapter of type {kind}, not LORA: {first}")
    for key in OTHER_METHODS:
        if config.get(key):
            raise UserError(f"{name} is a LoRA adapter with {key}, which is not base + scale * B A: {first}")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and not start.lower().startswith(PLAIN_STARTS):
        raise UserError(f"{name} is a LoRA adapter with init_lora_weights {start!r}, which changes the base: {first}")


def _given(config: Mapping[str, Any], key: str, default: Any) -> Any:
    value = config.get(key)
    return default if value is None else value


def _require_numbers(path: Path, config: Mapping[str, Any]) -> None:
    """Raises UserError, with the key, if a rank or scale is not a number, or a pattern cannot be read."""
    ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
    for key, pattern in (("rank_pattern", ranks), ("alpha_pattern", alphas)):
        require(isinstance(pattern, dict), f"{key} in {path} is {pattern!r}, not a table")
        for where in pattern:
            try:
                re.compile(where)
            except re.error as error:
                raise UserError(f"{key} in {path} has {where!r}, which is not a regular expression ({error})") from None
    for key, number in {**ranks, "r": _given(config, "r", 8)}.items():
        require(type(number) is int and number > 0, f"{path}: the rank {key} is {number!r}")
    for key, number in {**alphas, "lora_alpha": _given(config, "lora_alpha", 8)}.items():
        require(type(number) in (int, float), f"{path}: the scale {key} is {number!r}")


def _no_weights(name: str, folder: Path) -> str:
    pickles = sorted(path.name for path in folder.glob("adapter_model.*") if path.suffix in (".bin", ".pt"))
    if not pickles:
        return f"{name} has {ADAPTER_CONFIG}, but no {ADAPTER_WEIGHTS}"
    read = f"torch.load({str(folder / pickles[0])!r}, weights_only=True)"
    write = f"save_file({{k: v.contiguous() for k, v in {read}.items()}}, {str(folder / ADAPTER_WEIGHTS)!r})"
    convert = f'python -c "import torch; from safetensors.torch import save_file; {write}"'
    return f"{name} has its weights as a pickle only ({pickles[0]}); convert them: {convert}"


@dataclass
class AdapterKeys:
    """An adapter's tensors by kind: parts of a module's change, whole tensors, unknown names.

    `modules`: module, then part (lora_A, lora_B, lora_B.bias, ...); `whole`: the base's name of the tensor; `repeated`:
    those of `whole` to which a change is added, as peft stores embeddings with LoRA.
    """

    modules: dict[str, dict[str, StoredTensor]] = field(default_factory=dict)
    whole: dict[str, StoredTensor] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)

    def trains_rows(self, name: str) -> bool:
        """Whether the only change of this tensor is trained rows."""
        parts = self.modules.get(name.removesuffix(".weight"), {})
        return name not in self.whole and parts.keys() == {ROWS}

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            self.whole.pop(name, None)
            self.modules.pop(name.removesuffix(".weight"), None)


def read_keys(adapter: Adapter) -> AdapterKeys:
    """The names in an adapter's file, parsed."""
    keys = AdapterKeys()
    for key, tensor in adapter.tensors.items():
        name = key.removeprefix(PREFIX)
        found = _KEY.fullmatch(name)
        if name == key:
            keys.unknown.append(key)
        elif found:
            part = found["part"] + ".bias" * (found["end"] == "bias")
            keys.modules.setdefault(found["module"], {})[part] = tensor
        else:
            keys.whole[name.replace(".base_layer.", ".")] = tensor
            if name.endswith(".base_layer.weight"):
                keys.repeated.add(name.replace(".base_layer.", "."))
    return keys


@dataclass(frozen=True)
class AdaptedCheckpoint(Checkpoint):
    """A base with an adapter: the base's folder and config, and tensors that are computed while they are read."""

    base: Checkpoint = field(kw_only=True)
    adapter: Adapter = field(kw_only=True)
    notes: list[str] = field(kw_only=True)

    @property
    def stored(self) -> dict[str, StoredTensor]:
        return self.adapter.tensors

    @property
    def revision(self) -> str | None:
        folder = self.adapter.folder
        return folder.name if folder.parent.name == "snapshots" else None

    @cached_property
    def own_tokenizer(self) -> bool:
        return (self.adapter.folder / "tokenizer_config.json").exists()

    @property
    def tokenizer_folder(self) -> Path:
        return self.adapter.folder if self.own_tokenizer else self.base.tokenizer_folder

    def digested_settings(self) -> list[str]:
        settings = json.dumps({key: self.adapter.setting(key) for key in SCALES}, sort_keys=True)
        return [f"{ADAPTER_CONFIG} {hashlib.sha256(settings.encode()).hexdigest()}\n"]

    def other_files(self) -> list[Path]:
        """The base's, with the adapter's tokenizer and chat template if it has its own."""
        files = self.base.other_files()
        if not self.own_tokenizer:
            return files
        own = [self.adapter.folder / name for name in sorted(TOKENIZER_FILES)]
        return [path for path in files if path.name not in TOKENIZER_FILES] + [path for path in own if path.exists()]

    def files(self) -> dict[str, list[int]]:
        config = (self.adapter.folder / ADAPTER_CONFIG).stat()
        return {ADAPTER_CONFIG: [config.st_size, config.st_mtime_ns], **super().files()}
