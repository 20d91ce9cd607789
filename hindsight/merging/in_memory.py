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
from hindsight.merging.safetensors_files import TensorReader

THREADS = 8  # at most

PairMerge = Callable[[TensorPair, torch.Tensor], torch.Tensor]


@contextlib.contextmanager
def pair_merging(rule: AlphaRule, method: str = "lerp") -> Iterator[PairMerge]:
    """Yields a function that merges pairs at the alphas of a rule, by several threads.

    The function takes a pair and its leading tensor (the fine-tuned model's, or the base's if that has an adapter), on
    any device, reads the other one, and returns the merged tensor on the CPU. It raises UserError if the two cannot be
    merged.
    """
    threads = min(THREADS, len(os.sched_getaffinity(0)))
    with (
        TensorReader() as reader,
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):

        def merge(pair: TensorPair, leading: torch.Tensor) -> torch.Tensor:
            leads = pair.leading is pair.finetuned
            other = reader.read_whole(pair.base if leads else pair.finetuned).flatten()[: pair.shared]
            merged = leading.cpu().clone()
            shared = merged.view(-1)[: pair.shared]
            both = (other, shared) if leads else (shared, other)
            try:
                shared.copy_(merge_tensors(*both, rule.alpha_of(pair.name), method, pool.map, merged.dtype))
            except ValueError as error:
                raise UserError(f"{pair.name}: {error}") from None
            return merged

        yield merge
