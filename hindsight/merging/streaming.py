"""Merging pairs of tensors from file to file, in chunks: each tensor is read once, for all alphas.

One thread reads and hashes, in the order of the files; the others compare, merge and write. Memory is a fixed number of
buffers, however large the tensors are. LERP needs a few of them. SLERP keeps a tensor's chunks until its angle is
known, or reads the tensor a second time if it does not fit in the buffers.
"""

import hashlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from hindsight.errors import UserError
from hindsight.merging.arithmetic import (
    BlockSums,
    Comparison,
    beyond_range,
    comparison_sums,
    largest_sum,
    weighted_sums,
)
from hindsight.merging.plan import TensorPair
from hindsight.merging.safetensors_files import CHUNK, ComputedTensor, StoredTensor, TensorReader, TensorWriter

BUFFERS = 16  # pairs of chunks in memory
WRITTEN = 1 << 19  # elements written at once, a multiple of a block
THREADS = 8  # at most; more would wait for buffers

Buffers = tuple[torch.Tensor, torch.Tensor]  # of bytes; one that is never taken costs no memory


class CannotMerge(UserError):
    """These two tensors cannot be merged with these settings."""


@dataclass(frozen=True)
class TensorReport:
    """What a merge found out about a tensor; the digests are the SHA-256 of the inputs' bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    base_digest: str
    finetuned_digest: str
    comparison: Comparison | None  # None if nothing was averaged


@dataclass(frozen=True)
class Chunk:
    """Elements of both tensors of a pair, starting at element `begin`, in buffers that are reused later."""

    begin: int
    base: torch.Tensor
    finetuned: torch.Tensor
    buffers: Buffers


@dataclass(frozen=True)
class PairMerge:
    """A pair on its way into one file per alpha, with the weights of each alpha."""

    pair: TensorPair
    alphas: Sequence[float]
    weights: Sequence[tuple[float, float]]
    writers: Sequence[TensorWriter]
    hashes: tuple[Any, Any] = field(default_factory=lambda: (hashlib.sha256(), hashlib.sha256()))  # base, fine-tuned
    too_large: list[tuple[float, float]] = field(default_factory=list)  # merged numbers out of range, and their alphas

    def find_overflow(self, base: torch.Tensor, finetuned: torch.Tensor, merged: Sequence[torch.Tensor]) -> None:
        """Keeps the largest number that became infinite when it was rounded to the merged tensors' dtype."""
        for alpha, weights, rounded in zip(self.alphas, self.weights, merged, strict=True):
            if not rounded.isfinite().all():
                self.too_large.append((largest_sum(base, finetuned, weights), alpha))

    def require_range(self) -> None:
        """Raises CannotMerge, with the largest value, if a merged number left the range of the dtype."""
        if self.too_large:
            value, alpha = max(self.too_large)
            pair, other = self.pair, "base" if self.pair.leading is self.pair.finetuned else "finetuned"
            stored: StoredTensor = getattr(pair, other)
            wider = value <= torch.finfo(stored.dtype).max and not isinstance(stored, ComputedTensor)
            advice = f"; --config_from {other} writes {stored.dtype_name}" * wider
            raise CannotMerge(f"{pair.name} {beyond_range(value, pair.leading.dtype)}, at alpha {alpha:.12g}{advice}")


class ChunkWorkers:
    """At most THREADS threads that process chunks, and the buffers of these chunks."""

    def __init__(self, threads: int):
        self._pool = ThreadPoolExecutor(min(threads, THREADS), initializer=torch.set_num_threads, initargs=(1,))
        self._free: queue.LifoQueue[Buffers] = queue.LifoQueue()
        for _ in range(BUFFERS):
            self._free.put((torch.empty(CHUNK, dtype=torch.uint8), torch.empty(CHUNK, dtype=torch.uint8)))
        self._failure: BaseException | None = None

    def take_buffers(self) -> Buffers:
        """Waits for free buffers. Raises the exception of a worker that failed."""
        buffers = self._free.get()
        if self._failure:
            raise self._failure
        return buffers

    def start(self, work: Callable[[Chunk], list[BlockSums]], chunk: Chunk, keep: bool = False) -> Future:
        """Starts work on a chunk; its buffers are free afterwards, unless they are to be kept."""

        def run() -> list[BlockSums]:
            try:
                return work(chunk)
            except BaseException as error:
                self._failure = self._failure or error
                raise
            finally:
                if not keep:
                    self._free.put(chunk.buffers)

        return self._pool.submit(run)

    def finish(self, failure: BaseException | None) -> None:
        """Returns when all work has ended; after a failure, when the work in progress has."""
        self._failure = self._failure or failure
        self._pool.shutdown(cancel_futures=failure is not None)


class PairMerger:
    """Merges pairs into files, one file per alpha; use it in a `with` statement.

    If merging fails, call `stop` before the files are closed: otherwise a thread that still runs could write to another
    file with the same descriptor.
    """

    def __init__(self, workers: int, method: str, progress: Callable[[int], None] = lambda size: None):
        self._method, self._progress = method, progress
        self._workers, self._reader, self._scratch = ChunkWorkers(workers), TensorReader(), threading.local()

    def __enter__(self) -> "PairMerger":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._workers.finish(exception[1])
        self._reader.__exit__(*exception)

    def stop(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """After an exception: starts no more work, and returns when running work has ended."""
        if error:
            self._workers.finish(error)

    def merge(
        self, pair: TensorPair, alphas: Sequence[float], writers: Sequence[TensorWriter]
    ) -> Callable[[], TensorReport]:
        """Starts to merge a pair into one file per alpha; the function that it returns waits for the end and reports.

        That function raises CannotMerge if the tensor has a NaN or an infinity, if a merged number leaves the dtype's
        range, or if tensors that cannot be averaged differ; both raise OSError from the disk.
        """
        merge = PairMerge(pair, alphas, [(1 - alpha, alpha) for alpha in alphas], writers)
        if pair.averaged and self._method == "slerp":
            work = self._merge_by_slerp(merge)
        else:
            merge_chunk = partial(self._compare_and_merge if pair.averaged else _copy_if_equal, merge)
            work = [self._workers.start(merge_chunk, chunk) for chunk in self._chunks(merge)]
        self._copy_rest(merge)
        return lambda: _report(merge, [each.result() for each in work])

    def _merge_by_slerp(self, merge: PairMerge) -> list[Future]:
        """Compares the whole tensor, then merges the chunks that are still in the buffers, or are read again."""
        fits = -(-merge.pair.shared // _elements_per_chunk(merge.pair)) <= BUFFERS
        chunks, compared = [], []
        for chunk in self._chunks(merge):
            compared.append(self._workers.start(_compare, chunk, keep=fits))
            chunks.append(chunk)
        comparison = _finite_comparison(merge.pair, [each.result() for each in compared])
        merge = replace(merge, weights=[comparison.weights(alpha, "slerp") for alpha in merge.alphas])
        work = partial(self._merge_chunk, merge, comparison)
        again = chunks if fits else self._chunks(merge, again=True)
        return compared + [self._workers.start(work, chunk) for chunk in again]

    def _chunks(self, merge: PairMerge, again: bool = False) -> Iterator[Chunk]:
        """Reads the shared elements chunk by chunk; only the first reading is hashed and counted as progress."""
        pair, step = merge.pair, _elements_per_chunk(merge.pair)
        for begin in range(0, pair.shared, step):
            buffers, count, tensors = self._workers.take_buffers(), min(step, pair.shared - begin), []
            for index, stored in enumerate((pair.base, pair.finetuned)):
                part = buffers[index][: count * stored.dtype.itemsize]
                content = part.numpy().data
                self._reader.read(stored, begin * stored.dtype.itemsize, content)
                if not again:
                    merge.hashes[index].update(content)
                    self._progress(len(content))
                tensors.append(part.view(stored.dtype))
            base, finetuned = tensors
            yield Chunk(begin, base, finetuned, buffers)

    def _compare_and_merge(self, merge: PairMerge, chunk: Chunk) -> list[BlockSums]:
        sums = _compare(chunk)
        self._merge_chunk(merge, Comparison.total(sums), chunk)
        return sums

    def _merge_chunk(self, merge: PairMerge, comparison: Comparison, chunk: Chunk) -> list[BlockSums]:
        """Writes a chunk's weighted sums. `comparison`, of the chunk or the tensor, may show that none can overflow."""
        dtype, scratch = merge.pair.leading.dtype, self._thread_scratch(len(merge.writers))
        fits = comparison.fits(merge.weights, dtype)
        for start in range(0, len(chunk.base), WRITTEN):
            part = slice(start, start + WRITTEN)
            base, finetuned = chunk.base[part], chunk.finetuned[part]
            merged = [torch.frombuffer(buffer, dtype=dtype, count=len(base)) for buffer in scratch]
            weighted_sums(base, finetuned, merge.weights, merged)
            if not fits:
                merge.find_overflow(base, finetuned, merged)
            for writer, buffer in zip(merge.writers, scratch, strict=True):
                content = memoryview(buffer)[: len(base) * dtype.itemsize]
                writer.write(merge.pair.name, (chunk.begin + start) * dtype.itemsize, content)
        return []

    def _thread_scratch(self, count: int) -> list[bytearray]:
        """This thread's memory for merged numbers, one buffer per file."""
        scratch = self._scratch.__dict__.setdefault("buffers", [])
        scratch += [bytearray(WRITTEN * 8) for _ in range(count - len(scratch))]
        return scratch[:count]

    def _copy_rest(self, merge: PairMerge) -> None:
        """Copies the rows that only the leading model has, and hashes those that only the other has."""
        pair = merge.pair
        for tensor, sha in zip((pair.base, pair.finetuned), merge.hashes, strict=True):
            for offset in range(pair.shared * tensor.dtype.itemsize, tensor.size, CHUNK):
                content = memoryview(bytearray(min(CHUNK, tensor.size - offset)))
                self._reader.read(tensor, offset, content)
                sha.update(content)
                self._progress(len(content))
                if tensor is pair.leading:
                    _require_finite(pair, tensor, bool(torch.frombuffer(content, dtype=tensor.dtype).isfinite().all()))
                    for writer in merge.writers:
                        writer.write(pair.name, offset, content)


def _elements_per_chunk(pair: TensorPair) -> int:
    return CHUNK // max(pair.base.dtype.itemsize, pair.finetuned.dtype.itemsize)


def _compare(chunk: Chunk) -> list[BlockSums]:
    return comparison_sums(chunk.base, chunk.finetuned)


def _copy_if_equal(merge: PairMerge, chunk: Chunk) -> list[BlockSums]:
    """Copies elements that cannot be averaged. Raises CannotMerge if the two tensors differ."""
    pair = merge.pair
    if not torch.equal(chunk.base, chunk.finetuned):
        raise CannotMerge(f"{pair.name} differs, and tensors of {chunk.base.dtype} cannot be averaged")
    leading = chunk.base if pair.leading is pair.base else chunk.finetuned
    content = leading.view(torch.uint8).numpy().data
    for writer in merge.writers:
        writer.write(pair.name, chunk.begin * pair.leading.dtype.itemsize, content)
    return []


def _finite_comparison(pair: TensorPair, parts: Sequence[list[BlockSums]]) -> Comparison:
    """The comparison of a whole tensor. Raises CannotMerge if it has a NaN or an infinity."""
    comparison = Comparison.total(itertools.chain.from_iterable(parts))
    _require_finite(pair, pair.base if comparison.broken == "base" else pair.finetuned, not comparison.broken)
    return comparison


def _require_finite(pair: TensorPair, tensor: StoredTensor, finite: bool) -> None:
    if not finite:
        raise CannotMerge(f"{pair.name} in {tensor.file} has a NaN or an infinity")


def _report(merge: PairMerge, parts: Sequence[list[BlockSums]]) -> TensorReport:
    pair, leading = merge.pair, merge.pair.leading
    comparison = _finite_comparison(pair, parts) if pair.averaged else None
    merge.require_range()
    return TensorReport(
        name=pair.name,
        shape=leading.shape,
        dtype=leading.dtype_name,
        parameters=leading.elements,
        base_digest=merge.hashes[0].hexdigest(),
        finetuned_digest=merge.hashes[1].hexdigest(),
        comparison=comparison,
    )
