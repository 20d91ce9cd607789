"""Merging while vLLM loads a model: any alpha straight from the two checkpoints, no merged one written.

    vllm serve FINETUNED --load-format hindsight \\
        --model-loader-extra-config '{"base": "BASE", "alpha": 0.7, "method": "lerp"}'

vLLM finds this module by the entry point `vllm.general_plugins` of the installed package (`pip install -e .`). Its own
loader reads the fine-tuned model and gives each tensor to the layers, which shard and cast it; on the way it is merged
by the same code as in a merged checkpoint, so the weights are the same to the bit. Every worker of a tensor-parallel
server reads both checkpoints, as vLLM's loader reads one.
"""

import copy
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn
from vllm.config import ModelConfig
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from hindsight.errors import UserError, require
from hindsight.merging.arithmetic import METHODS
from hindsight.merging.checkpoints import open_checkpoint
from hindsight.merging.plan import MergePlan, plan_merge
from hindsight.merging.streaming import merge_pair

LOAD_FORMAT = "hindsight"
KEYS = ("base", "alpha", "method")
THREADS = 8  # at most


class MergedModelLoader(DefaultModelLoader):
    """vLLM's loader of safetensors with a merge in it; `base`, `alpha` and `method` come with its extra config.

    Raises UserError where these are wrong or the two cannot be merged.
    """

    def __init__(self, load_config: LoadConfig):
        extra = dict(load_config.model_loader_extra_config)
        require("base" in extra and "alpha" in extra, f"--model-loader-extra-config wants base and alpha, not {extra}")
        self.base, self.alpha, self.method = extra.pop("base"), extra.pop("alpha"), extra.pop("method", "lerp")
        require(self.method in METHODS, f"method is {' or '.join(METHODS)}, not {self.method!r}")
        number = isinstance(self.alpha, int | float) and not isinstance(self.alpha, bool)
        require(number and 0 <= self.alpha <= 1, f"alpha lies in [0, 1], not {self.alpha!r}")
        own = copy.copy(load_config)
        own.load_format, own.model_loader_extra_config = "safetensors", extra
        super().__init__(own)

    def get_all_weights(self, model_config: ModelConfig, model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
        """Every tensor of the fine-tuned model, merged."""
        name = f"{model_config.model}@{model_config.revision}" if model_config.revision else model_config.model
        cache = self.load_config.download_dir
        plan = plan_merge(open_checkpoint(self.base, cache), open_checkpoint(name, cache))
        pairs = {pair.name: pair for pair in plan.pairs}
        _require_loadable(plan)
        threads = min(THREADS, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for name, tensor in super().get_all_weights(model_config, model):
                if name in pairs:
                    tensor = merge_pair(pairs[name], tensor, self.alpha, self.method, pool.map)
                yield name, tensor


def _require_loadable(plan: MergePlan) -> None:
    """Raises UserError where the merged model is of another shape than the fine-tuned one, which is to be loaded."""
    added = sorted({pair.name for pair in plan.pairs} - plan.finetuned.tensors.keys())
    if added:
        raise UserError(f"{plan.base.name} has {added[0]}, {plan.finetuned.name} ties it: merge with merge_models.py")


def register() -> Any:
    """vLLM's entry point: makes the load format known in this process."""
    register_model_loader(LOAD_FORMAT)(MergedModelLoader)
