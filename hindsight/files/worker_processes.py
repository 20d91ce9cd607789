"""Work on many files in several processes, a chunk of them at a time."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any


def in_processes(work: Callable[[Any], Any], chunks: Iterable[Any], workers: int) -> Iterator[Any]:
    """The result of `work` on each chunk, in order; with one worker in this process. Few chunks are under way at once.

    The processes are forked, so they have what this one has loaded; only chunks and results are sent.
    """
    if workers == 1:
        yield from map(work, chunks)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(work,)) as pool:
        under_way: deque[Future] = deque()
        for chunk in chunks:
            under_way.append(pool.submit(_do, chunk))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _start(work: Callable[[Any], Any]) -> None:
    """In a worker: Ctrl-C is the parent's to answer, and where that one is killed the worker ends too."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    parent = multiprocessing.parent_process()
    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _do(chunk: Any) -> Any:
    return _work(chunk)
