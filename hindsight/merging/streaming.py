"""Merging tensors from file to file: each is read once, compared, blended for every alpha and written, in chunks.

One thread reads and takes digests, in the order of the files; the others compare, blend and write. Memory is a fixed
number of buffers, however large the tensors: LERP holds a few, SLERP a whole tensor until its angle is known, or where
that is larger than the buffers reads it a second time. `merge_pair` makes the same bits in memory.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hindsight.errors import UserError
from hindsight.merging.arithmetic import Comparison, Sums, blend, merge_tensors, sum_piece
from hindsight.merging.checkpoints import StoredTensor, read_tensor
from hindsight.merging.plan import Pair

CHUNK = 1 << 23  # bytes of a tensor that are read at once: whole blocks in every dtype
BUFFERS = 16  # pairs of chunks in memory
WRITTEN = 1 << 19  # elements that are written at once, whole blocks
THREADS = 8  # at most: more would wait for buffers


@dataclass(frozen=True)
class TensorReport:
    """What was found out about a tensor while it was merged; digests are SHA-256 of the inputs' bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    base_digest: str
    finetuned_digest: str
    comparison: Comparison | None  # None where nothing was averaged

    def to_json(self) -> dict[str, Any]:
        """As `merge.json` has it."""
        return asdict(self)


class Output:
    """A file of merged tensors that is being written: the merged bytes of each pair go to its place."""

    def __init__(self, path: Path, header: bytes, places: dict[str, int]):
        self._path, self._places = path, places
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self._write_all(header, 0)

    def write(self, name: str, offset: int, content: memoryview) -> None:
        """Writes bytes of a tensor, `offset` bytes from its beginning."""
        self._write_all(content, self._places[name] + offset)

    def close(self) -> None:
        """Closes the file; an error that the disk had kept back is raised here."""
        os.close(self._file)

    def _write_all(self, content: bytes | memoryview, offset: int) -> None:
        view = memoryview(content)
        while view:
            try:
                count = os.pwrite(self._file, view, offset)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            view, offset = view[count:], offset + count


class TensorStream:
    """Merges pairs into outputs, by at most THREADS threads; used by `with`.

    Where merging fails, `stop` comes before the outputs are closed: no thread may write to a file that is not its own.
    """

    def __init__(self, workers: int, progress: Callable[[int], None]):
        self._pool = ThreadPoolExecutor(min(workers, THREADS), initializer=torch.set_num_threads, initargs=(1,))
        self._buffers: queue.LifoQueue[tuple[bytearray, bytearray]] = queue.LifoQueue()
        for _ in range(BUFFERS):
            self._buffers.put((bytearray(CHUNK), bytearray(CHUNK)))
        self._progress = progress
        self._own = threading.local()
        self._files: dict[Path, int] = {}
        self._failure: BaseException | None = None

    def __enter__(self) -> "TensorStream":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stop(*exception)
        self._pool.shutdown()
        for file in self._files.values():
            os.close(file)

    def stop(self, *exception: Any) -> None:
        """Begins no more work, and returns when that under way has ended, if there was an exception."""
        if exception[1]:
            self._failure = self._failure or exception[1]
            self._pool.shutdown(wait=True, cancel_futures=True)

    def merge(self, pair: Pair, method: str, alphas: list[float], outputs: list[Output]) -> Callable[[], TensorReport]:
        """Starts to merge a pair into one output for each alpha; what it returns waits for the end and says the facts.

        That call raises UserError where the tensor has a NaN or an infinity, or where tensors that cannot be averaged
        differ; both raise OSError from the disk.
        """
        hashes = hashlib.sha256(), hashlib.sha256()
        if not pair.averaged:
            work = self._copy_equal(pair, hashes, outputs)
        elif method == "lerp":
            weights = [(1 - alpha, alpha) for alpha in alphas]
            work = [
                self._start(self._sum_and_blend, pair, begin, buffers, weights, outputs)
                for begin, buffers in self._chunks(pair, hashes)
            ]
        else:
            work = self._slerp(pair, hashes, alphas, outputs)
        self._copy_rest(pair, hashes, outputs)
        return lambda: self._report(pair, hashes, [each.result() for each in work])

    def digest(self, tensor: StoredTensor) -> str:
        """SHA-256 of a tensor's bytes."""
        sha = hashlib.sha256()
        self._read_rest(tensor, 0, sha, [])
        return sha.hexdigest()

    def _slerp(self, pair: Pair, hashes: tuple, alphas: list[float], outputs: list[Output]) -> list[Future]:
        """Compares the whole tensor, and blends what is still in the buffers, or is read again."""
        fits = -(-pair.shared // _step(pair)) <= BUFFERS
        held, compared = [], []
        for begin, buffers in self._chunks(pair, hashes):
            compared.append(self._start(self._sum, pair, begin, buffers, keep=fits))
            held.append((begin, buffers))
        sums = Sums()
        for each in compared:
            sums.extend(each.result())
        comparison = _finite(pair, sums)
        weights = [comparison.weights(alpha, "slerp") for alpha in alphas]
        again = held if fits else self._chunks(pair)
        return compared + [self._start(self._blend, pair, begin, buffers, weights, outputs) for begin, buffers in again]

    def _chunks(self, pair: Pair, hashes: tuple | None = None):
        """Reads the elements that both have, a chunk at a time, into buffers that the work on them gives back."""
        for begin in range(0, pair.shared, _step(pair)):
            buffers = self._buffers.get()
            if self._failure:
                raise self._failure
            count = min(_step(pair), pair.shared - begin)
            for index, tensor in enumerate((pair.base, pair.finetuned)):
                view = memoryview(buffers[index])[: count * tensor.dtype.itemsize]
                self._read(tensor, begin * tensor.dtype.itemsize, view)
                if hashes:
                    hashes[index].update(view)
                    self._progress(len(view))
            yield begin, buffers

    def _start(self, work: Callable, pair: Pair, begin: int, buffers: tuple, *rest: Any, keep: bool = False) -> Future:
        """Work on a chunk by another thread; the buffers are given back after it unless they are kept."""
        count = min(_step(pair), pair.shared - begin)
        views = [
            torch.frombuffer(buffer, dtype=tensor.dtype, count=count)
            for buffer, tensor in zip(buffers, (pair.base, pair.finetuned), strict=True)
        ]

        def run() -> Any:
            try:
                return work(pair, begin, *views, *rest)
            except BaseException as error:
                self._failure = self._failure or error
                raise
            finally:
                if not keep:
                    self._buffers.put(buffers)

        return self._pool.submit(run)

    def _sum(self, pair: Pair, begin: int, base: torch.Tensor, finetuned: torch.Tensor) -> Sums:
        return sum_piece(base, finetuned)

    def _blend(
        self, pair: Pair, begin: int, base: torch.Tensor, finetuned: torch.Tensor, weights: list, outputs: list[Output]
    ) -> Sums:
        dtype = pair.leading.dtype
        scratch = self._scratch(len(outputs))
        for start in range(0, len(base), WRITTEN):
            part = slice(start, start + WRITTEN)
            count = len(base[part])
            merged = [torch.frombuffer(buffer, dtype=dtype, count=count) for buffer in scratch]
            blend(base[part], finetuned[part], weights, merged)
            for output, buffer in zip(outputs, scratch, strict=True):
                content = memoryview(buffer)[: count * dtype.itemsize]
                output.write(pair.name, (begin + start) * dtype.itemsize, content)
        return Sums()

    def _scratch(self, count: int) -> list[bytearray]:
        """This thread's memory for merged numbers, one for each output."""
        scratch = self._own.__dict__.setdefault("scratch", [])
        scratch += [bytearray(WRITTEN * 8) for _ in range(count - len(scratch))]
        return scratch[:count]

    def _sum_and_blend(self, pair: Pair, begin: int, base: torch.Tensor, finetuned: torch.Tensor, *rest: Any) -> Sums:
        sums = sum_piece(base, finetuned)
        self._blend(pair, begin, base, finetuned, *rest)
        return sums

    def _copy_equal(self, pair: Pair, hashes: tuple, outputs: list[Output]) -> list[Future]:
        """Copies what cannot be averaged. Raises UserError where the two differ."""

        def copy(pair: Pair, begin: int, base: torch.Tensor, finetuned: torch.Tensor) -> Sums:
            if not torch.equal(base, finetuned):
                raise UserError(f"{pair.name} differs, and tensors of {base.dtype} cannot be averaged")
            content = memoryview((base if pair.leading is pair.base else finetuned).view(torch.uint8).numpy())
            for output in outputs:
                output.write(pair.name, begin * pair.leading.dtype.itemsize, content)
            return Sums()

        return [self._start(copy, pair, begin, buffers) for begin, buffers in self._chunks(pair, hashes)]

    def _copy_rest(self, pair: Pair, hashes: tuple, outputs: list[Output]) -> None:
        """Copies the rows that the leading model has alone, and reads those of the other for its digest."""
        for tensor, sha in zip((pair.base, pair.finetuned), hashes, strict=True):
            to = [(output, pair.name) for output in outputs] if tensor is pair.leading else []
            self._read_rest(tensor, pair.shared * tensor.dtype.itemsize, sha, to)

    def _read_rest(self, tensor: StoredTensor, begin: int, sha: Any, outputs: list[tuple[Output, str]]) -> None:
        for offset in range(begin, tensor.size, CHUNK):
            view = memoryview(bytearray(min(CHUNK, tensor.size - offset)))
            self._read(tensor, offset, view)
            sha.update(view)
            self._progress(len(view))
            for output, name in outputs:
                output.write(name, offset, view)

    def _read(self, tensor: StoredTensor, offset: int, view: memoryview) -> None:
        if tensor.file not in self._files:
            self._files[tensor.file] = os.open(tensor.file, os.O_RDONLY)
        done = 0
        while done < len(view):
            count = os.preadv(self._files[tensor.file], [view[done:]], tensor.offset + offset + done)
            if not count:
                raise UserError(f"{tensor.file} became shorter while it was read")
            done += count

    def _report(self, pair: Pair, hashes: tuple, parts: list[Sums]) -> TensorReport:
        sums = Sums()
        for part in parts:
            sums.extend(part)
        return TensorReport(
            name=pair.name,
            shape=pair.leading.shape,
            dtype=pair.leading.dtype_name,
            parameters=pair.leading.elements,
            base_digest=hashes[0].hexdigest(),
            finetuned_digest=hashes[1].hexdigest(),
            comparison=_finite(pair, sums) if pair.averaged else None,
        )


def merge_pair(
    pair: Pair, finetuned: torch.Tensor, alpha: float, method: str = "lerp", run: Callable = map
) -> torch.Tensor:
    """A pair's merged tensor in memory, for a model that follows the fine-tuned one; `finetuned` is that one's tensor.

    `run` is `map`, or the `map` of a pool of threads. Raises UserError where the two cannot be merged.
    """
    base, merged = read_tensor(pair.base).flatten()[: pair.shared], finetuned.cpu().clone()
    shared = merged.view(-1)[: pair.shared]
    try:
        shared.copy_(merge_tensors(base, shared, alpha, method, run))
    except ValueError as error:
        raise UserError(f"{pair.name}: {error}") from None
    return merged


def _finite(pair: Pair, sums: Sums) -> Comparison:
    comparison = sums.compare()
    if comparison.broken:
        tensor = pair.base if comparison.broken == "base" else pair.finetuned
        raise UserError(f"{pair.name} in {tensor.file} has a NaN or an infinity")
    return comparison


def _step(pair: Pair) -> int:
    """Elements in a chunk."""
    return CHUNK // max(pair.base.dtype.itemsize, pair.finetuned.dtype.itemsize)
