"""Judges on this machine: threads with one handler each, because the handlers' processes do the work."""

import threading
import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from SkyThought.judges import JudgeOptions, ProblemToJudge
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
                except BaseException as error:  # raised again where the result is asked for
                    future.set_exception(error)
