"""Work on many files in several processes, a chunk of files at a time."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from hindsight.errors import require


def in_processes(work: Callable[[Any], Any], chunks: Iterable[Any], workers: int) -> Iterator[Any]:
    """The result of `work` on each chunk, in order; one worker means this process. Few chunks are in progress at once.

    The processes are forked, so they have what this one has loaded; only chunks and results are sent. Raises UserError
    for fewer than one worker.
    """
    require(workers > 0, f"WORKERS is at least 1, or 0 for one per core, not {workers}")
    if workers == 1:
        yield from map(work, chunks)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(work,)) as pool:
        pending: deque[Future] = deque()
        for chunk in chunks:
            pending.append(pool.submit(_do, chunk))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _start(work: Callable[[Any], Any]) -> None:
    """In a worker: leaves Ctrl-C to the parent, and ends when the parent is killed."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    if parent := multiprocessing.parent_process():
        threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _do(chunk: Any) -> Any:
    return _work(chunk)
