"""Merging tensors in memory, with the same bits as in a merged checkpoint, while a model is loaded."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule
from hindsight.merging.arithmetic import merge_tensors
from hindsight.merging.plan import TensorPair

THREADS = 8  # at most

PairMerge = Callable[[TensorPair, torch.Tensor, torch.Tensor], torch.Tensor]


@contextlib.contextmanager
def pair_merging(rule: AlphaRule, method: str = "lerp") -> Iterator[PairMerge]:
    """Yields a function that merges pairs at the alphas of a rule, with several threads.

    The function takes a pair, its leading tensor (the fine-tuned model's, or the base's if that has an adapter) on any
    device, and the other one; it returns the merged tensor on the CPU, or raises UserError if they cannot be merged.
    """
    threads = min(THREADS, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def merge(pair: TensorPair, leading: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            merged, other = leading.cpu().clone(), other.flatten()[: pair.shared]
            shared = merged.view(-1)[: pair.shared]
            both = (other, shared) if pair.leading is pair.finetuned else (shared, other)
            try:
                shared.copy_(merge_tensors(*both, rule.alpha_of(pair.name), method, pool.map, merged.dtype))
            except ValueError as error:
                raise UserError(f"{pair.name}: {error}") from None
            return merged

        yield merge
