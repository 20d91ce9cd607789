"""Merging while vLLM loads a model: serves any alpha from the two parent checkpoints, without a merged one on disk.

    vllm serve FINETUNED --load-format hindsight \\
        --model-loader-extra-config '{"base": "BASE", "alpha": 0.7, "method": "lerp"}'

A LoRA adapter is merged with the model that is served, its base; the extra config names it as well:

    vllm serve BASE --load-format hindsight \\
        --model-loader-extra-config '{"base": "BASE", "adapter": "ADAPTER", "alpha": 0.7}'

vLLM finds this module by the entry point `vllm.general_plugins` of the installed package (`pip install -e .`). vLLM's
own loader reads the fine-tuned model; before the layers shard and cast a tensor, it is merged, with the same bits as in
a merged checkpoint. Every worker of a tensor-parallel server reads both checkpoints.
"""

import copy
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

import psutil
import torch
from torch import nn
from vllm.config import ModelConfig
from vllm.config.load import LoadConfig
from vllm.logger import init_logger
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from hindsight.errors import require
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.arithmetic import METHODS
from hindsight.merging.checkpoints import resolve_checkpoint
from hindsight.merging.in_memory import pair_merging
from hindsight.merging.kinship import check_kinship
from hindsight.merging.plan import MergePlan, TensorPair, plan_merge, require_loadable
from hindsight.merging.safetensors_files import TensorReader
from hindsight.servers.alpha_dial import LOAD_FORMAT

logger = init_logger(__name__)
Parents = tuple[str, torch.Tensor, torch.Tensor | None]
KEPT: dict[tuple[str, str], list[Parents]] = {}  # by base and fine-tuned model, in this process
PARENTS = ("disk", "memory")


class MergedModelLoader(DefaultModelLoader):
    """vLLM's loader of safetensors files, with a merge; its extra config has `base`, `alpha`, `method` and `adapter`.

    `parents` is "disk", to read both again for each alpha that a dial sets, or "memory", to keep them if there is room.
    `alpha` is a number, or `{"alpha": 0.7, "parts": ["mlp:0.9"]}` (see `alphas`); beyond [0, 1] with `extrapolate`.
    `allow_unrelated` merges two models that are farther apart than any fine-tune (see `kinship`).
    Raises UserError if these are wrong or the two checkpoints cannot be merged.
    """

    def __init__(self, load_config: LoadConfig):
        extra = dict(load_config.model_loader_extra_config)
        given = "base" in extra and "alpha" in extra
        require(given, f"--model-loader-extra-config needs base and alpha, but has {extra}")
        self.base, self.method = extra.pop("base"), extra.pop("method", "lerp")
        self.adapter = extra.pop("adapter", None)
        require(self.method in METHODS, f"method is {' or '.join(METHODS)}, not {self.method!r}")
        self.rule = AlphaRule.from_json(extra.pop("alpha"), extra.pop("extrapolate", False) is True)
        self.rule.require_method(self.method)
        self.allow_unrelated = extra.pop("allow_unrelated", False) is True
        self.parents = extra.pop("parents", PARENTS[0])
        require(self.parents in PARENTS, f"parents is {' or '.join(PARENTS)}, not {self.parents!r}")
        without_merge = copy.copy(load_config)
        without_merge.load_format, without_merge.model_loader_extra_config = "safetensors", extra
        super().__init__(without_merge)

    def plan(self, model_config: ModelConfig) -> MergePlan:
        """What is merged. Raises UserError if the two cannot be merged, or have no tensors of a part of the rule."""
        name, cache = _name(model_config), self.load_config.download_dir
        plan = plan_merge(self.base, self.adapter or name, cache=cache)
        if self.adapter:
            same = resolve_checkpoint(name, cache).resolve() == plan.base.folder.resolve()
            require(same, f"with an adapter, vLLM serves its base: --model is {name}, base is {self.base}")
        require_loadable(plan)
        self.rule.require_used(pair.name for pair in plan.pairs)
        return plan

    def get_all_weights(
        self, model_config: ModelConfig, model: nn.Module
    ) -> Generator[tuple[str, torch.Tensor], None, None]:
        """Every tensor of the fine-tuned model, merged; with an adapter, every tensor of the base."""
        plan = self.plan(model_config)
        pairs = {pair.name: pair for pair in plan.pairs}
        check_kinship(plan, self.allow_unrelated)
        key = self.base, self.adapter or _name(model_config)
        parents = KEPT.get(key) or self._read_parents(pairs, super().get_all_weights(model_config, model))
        if self.parents == "memory" and key not in KEPT and _have_room(plan.pairs):
            parents = KEPT[key] = [(each, leading.cpu().clone(), other) for each, leading, other in parents]
        with pair_merging(self.rule, self.method) as merge:
            for each, leading, other in parents:
                yield each, leading if other is None else merge(pairs[each], leading, other)

    def _read_parents(
        self, pairs: Mapping[str, TensorPair], weights: Iterable[tuple[str, torch.Tensor]]
    ) -> Iterator[Parents]:
        """Each tensor's name, what vLLM reads, and the tensor that it is merged with, None if it is not merged."""
        with TensorReader() as reader:
            for name, leading in weights:
                pair = pairs.get(name)
                other = pair and reader.read_whole(pair.other)
                yield name, leading, other


def _name(model_config: ModelConfig) -> str:
    return f"{model_config.model}@{model_config.revision}" if model_config.revision else model_config.model


def _have_room(pairs: Iterable[TensorPair]) -> bool:
    """Whether both parents fit into this machine's free memory; logs a warning if not."""
    needed = sum(pair.base.size + pair.finetuned.size for pair in pairs)
    free = psutil.virtual_memory().available
    if needed > free:
        logger.warning("%.1f GB are free, both parents need %.1f GB: not kept", free / 1e9, needed / 1e9)
    return needed <= free


def register() -> Any:
    """vLLM's entry point: makes the load format known in this process."""
    register_model_loader(LOAD_FORMAT)(MergedModelLoader)
