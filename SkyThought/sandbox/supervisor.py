"""The warm process's main loop: forks a child for each test of a program, watches it and reports how it ended.

`messages` has what it exchanges with the judge. It never sees an expected output, nor a program's output or values. A
program is read and compiled in the child of its first test; the children of later tests find the code in a file in
memory. This process therefore never executes, parses or keeps any part of a program.
"""

import os
import select
import signal
import socket

from SkyThought.sandbox import messages
from SkyThought.sandbox.interpreter import Interpreter
from SkyThought.sandbox.layers import Sandbox
from SkyThought.sandbox.messages import Ending
from SkyThought.sandbox.processes import ChildTimer, count_threads, kill_children
from SkyThought.sandbox.program_folder import FOLDER_BYTES, folder_bytes
from SkyThought.sandbox.report import REPORT_FD

MOST_THREADS = 256
QUICK_SECONDS = 0.003  # until then only the child's end is awaited
CHECK_SECONDS = 0.1  # longest time between two checks of a child
_CHILD_ENDED = {signal.SIGCHLD}


class Supervisor:
    """Runs one program after another. control: the judge's socket; interpreter: where children run programs."""

    def __init__(self, control: socket.socket, sandbox: Sandbox, interpreter: Interpreter):
        self.control, self.sandbox, self.interpreter = control, sandbox, interpreter
        os.chdir(sandbox.folder)
        signal.pthread_sigmask(signal.SIG_BLOCK, _CHILD_ENDED)

    def serve(self) -> None:
        """Run tests until the judge is gone; then return or raise OSError."""
        start = 1 + messages.LIMITS.size
        while True:
            message, files = messages.receive(self.control)
            kind = message[:1]
            if kind == messages.TEST:
                source = files[1] if len(files) > 1 else messages.memory_file(message[start:])
                pid = os.fork()
                if pid == 0:
                    self.interpreter.run(source, files[0])
                self._finish(pid, messages.LIMITS.unpack(message[1:start]), files[0], source)
                os.close(files[0])
            elif kind == messages.CALLS:
                pid = os.fork()
                if pid == 0:
                    name = message[start + 1 :].decode("utf-8", "surrogatepass")
                    self.interpreter.serve_calls(files[0], message[start : start + 1], name)
                self._finish(pid, messages.LIMITS.unpack(message[1:start]), REPORT_FD, files[0])
            elif kind == messages.PROGRAM:
                self._take_program(*files)
            elif not message:
                return

    def _take_program(self, source: int, reports: int) -> None:
        os.dup2(reports, REPORT_FD)
        os.close(reports)
        self.interpreter.program.take(source)

    def _finish(self, pid: int, limits: tuple[float, float], pipe: int, file: int) -> None:
        """Close the child's file, wait for its end, prepare the folder for the next test, and report the ending.

        pipe: what the judge reads from the child.
        """
        os.close(file)
        ending = self._wait_briefly(pid) or self._watch(ChildTimer(pid, *limits, pipe))
        if not self.interpreter.program.is_laid_out():
            self.interpreter.program.lay_out()
        messages.send(self.control, messages.ENDED + ending.pack())

    def _wait_briefly(self, pid: int) -> Ending | None:
        """The ending of a child that ends soon, as most do; None if it does not."""
        while signal.sigtimedwait(_CHILD_ENDED, QUICK_SECONDS) is not None:
            gone, status, usage = os.wait4(pid, os.WNOHANG)
            if gone:  # otherwise the signal was an earlier child's
                self._kill_rest()
                return Ending(status, usage.ru_utime + usage.ru_stime, messages.NO_LIMIT)
        return None

    def _watch(self, timer: ChildTimer) -> Ending:
        """Wait until a child has ended, or end it."""
        descriptor = os.pidfd_open(timer.pid)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.register(self.control, select.POLLIN)
        limit_met, wait, asked = messages.NO_LIMIT, 0.0, messages.NO_LIMIT
        while limit_met == messages.NO_LIMIT:
            ready = [number for number, _ in poller.poll(1000 * wait)]
            if descriptor in ready:
                break
            if self.control.fileno() in ready:
                heard = self._hear(timer, asked)
                if heard is None:
                    break
                limit_met, asked, wait = heard, messages.NO_LIMIT, 0.0
                continue
            limit, wait = self._check(timer)
            if timer.pipe != REPORT_FD or limit not in (messages.CPU, messages.WALL):
                limit_met = limit
            elif asked == messages.NO_LIMIT:
                asked = limit
                messages.send(self.control, messages.ASK)
        os.close(descriptor)
        return self._end(timer.pid, limit_met)

    def _hear(self, timer: ChildTimer, asked: bytes) -> bytes | None:
        """Receive a message of the judge while a child runs: the limit that the child has met, None if it has to end.

        asked: the limit about which the judge was asked.
        """
        message, _ = messages.receive(self.control)
        kind, content = message[:1], message[1:]
        if kind == messages.NEXT:
            limits, returned = content[: messages.LIMITS.size], content[messages.LIMITS.size :]
            used = timer.restart(*messages.LIMITS.unpack(limits), *messages.SECONDS.unpack(returned))
            messages.send(self.control, messages.USED + messages.SECONDS.pack(used))
            return messages.NO_LIMIT
        if kind == messages.RUNNING:
            (restarts,) = messages.COUNT.unpack(content)
            return asked if restarts == timer.restarts else messages.NO_LIMIT
        return None

    def _check(self, timer: ChildTimer) -> tuple[bytes, float]:
        """The limit that a running child has met, and seconds until the next check.

        It may be an earlier call's, as the child may be ahead of the judge. So the judge is asked first.
        """
        cpu, wall = timer.seconds_left()
        if cpu <= 0:
            return messages.CPU, CHECK_SECONDS
        if wall <= 0:
            return messages.WALL, CHECK_SECONDS
        if count_threads(timer.pid) > MOST_THREADS:
            return messages.THREADS, 0
        if "namespaces" in self.sandbox.off and folder_bytes(".") > FOLDER_BYTES:
            return messages.DISK, 0
        return messages.NO_LIMIT, max(0.001, min(cpu, wall, CHECK_SECONDS))

    def _end(self, pid: int, limit_met: bytes) -> Ending:
        gone, status, usage = os.wait4(pid, os.WNOHANG)
        if gone == 0:
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
        self._kill_rest()
        return Ending(status, usage.ru_utime + usage.ru_stime, limit_met)

    def _kill_rest(self) -> None:
        """End the processes that a program left behind, if it could start any."""
        if not self.sandbox.forbids_processes:
            kill_children()
