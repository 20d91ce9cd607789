"""Judges on this machine, threads with one handler each, and the choice between them and a Ray cluster."""

import os
import threading
import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from hindsight.errors import require
from SkyThought.judges import JudgeOptions, Judges, ProblemToJudge
from SkyThought.taco import TACOTaskHandler, Verdict

STOP_SECONDS = 3  # longest wait for judges that are told to stop while they judge


class LocalJudges:
    """See `judges.Judges`. Raises UserError when the programs cannot be contained."""

    def __init__(self, workers: int, options: JudgeOptions):
        self.workers, self.submitted = workers, 0
        handlers = [options.make_handler() for _ in range(workers)]
        self.protection, self.find_program = handlers[0].protection(), handlers[0].find_program
        self._queue: SimpleQueue = SimpleQueue()
        # Daemon threads: after Ctrl-C the script must not wait for a program that runs for minutes. The handlers'
        # processes end with the script.
        self._threads = [threading.Thread(target=self._judge, args=(each,), daemon=True) for each in handlers]
        for thread in self._threads:
            thread.start()

    def submit(self, problem: ProblemToJudge, source: str | None) -> "Future[Verdict]":
        """Queue a program."""
        future: Future[Verdict] = Future()
        self.submitted += 1
        self._queue.put((future, problem, source))
        return future

    def close(self) -> None:
        """Drop the queued programs, and end the threads and their handlers' processes."""
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _judge(self, handler: TACOTaskHandler) -> None:
        with handler:
            while (work := self._queue.get()) is not None:
                future, problem, source = work
                try:
                    future.set_result(handler.judge(source, problem.tests, problem.special_judge))
                except BaseException as error:  # raised again when the result is read
                    future.set_exception(error)


def open_judges(options: JudgeOptions, workers: int, ray_address: str) -> Judges:
    """The judges that the settings WORKERS and RAY_ADDRESS ask for; the caller closes them.

    workers: programs at once, 0 for one per core; ray_address: empty for this machine. Raises UserError when the
    programs cannot be contained, or the cluster cannot be reached.
    """
    require(workers >= 0, "WORKERS is 0, for one per core, or more")
    if not ray_address:
        return LocalJudges(workers or len(os.sched_getaffinity(0)), options)
    require(workers == 0, "WORKERS is for this machine alone; a Ray cluster uses all CPUs of its nodes")
    from SkyThought.ray_judges import RayJudges  # Ray is optional

    return RayJudges(ray_address, options)
