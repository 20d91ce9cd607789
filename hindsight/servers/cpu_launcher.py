"""Starts vLLM servers for a CPU as forks of one process, `cpu_server`, which imports PyTorch and vLLM only once."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class ForkedServer:
    """A server's process, a fork of the launcher's. What it has is as in `subprocess.Popen`."""

    def __init__(self, pid: int, status: socket.socket):
        self.pid, self.returncode = pid, None
        self._status, self._descriptor = status, os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        if (status := self._read(timeout)) is None:
            raise subprocess.TimeoutExpired("vLLM", timeout or 0)
        return status

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            status = self._status.recv(8)  # nothing, if the launcher was killed
            self.returncode = int.from_bytes(status, "little", signed=True) if status else -signal.SIGKILL
            self._status.close()
            os.close(self._descriptor)
        return self.returncode

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)


Server = subprocess.Popen | ForkedServer


class Launcher:
    """The process of which servers are forks. It starts with the first server, and ends with this process."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "hindsight.servers.cpu_server")) -> None:
        self._command, self._lock = command, threading.Lock()
        self._running: tuple[subprocess.Popen, socket.socket] | None = None

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: Any) -> Server:
        """Starts a server with these flags of `vllm serve`, whose output goes to a file.

        Returns when its process exists: for the first server, when vLLM is imported. If it cannot be imported, returns
        the launcher's process, which has ended; `output` then has its reason.
        """
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": str(Path.cwd())}
        ours, theirs = socket.socketpair()
        with self._lock, tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            json.dump(request, file)
            file.seek(0)
            process, control = self._launcher(environment, output)
            with theirs, contextlib.suppress(BrokenPipeError):  # the launcher has ended already
                socket.send_fds(control, [b"+"], [file.fileno(), output.fileno(), theirs.fileno()])
        try:
            if number := ours.recv(8):
                return ForkedServer(int.from_bytes(number, "little"), ours)
            process.wait()
        except BaseException:
            ours.close()  # a server that nobody waits for is ended
            raise
        ours.close()
        return process

    def _launcher(self, environment: Mapping[str, str], output: Any) -> tuple[subprocess.Popen, socket.socket]:
        """The launcher's process, which is started unless it runs, and the socket of its requests."""
        if self._running is None or self._running[0].poll() is not None:
            control, theirs = socket.socketpair()
            with theirs:
                files = {"stdin": theirs, "stdout": output, "stderr": output}
                # Imported for one thread, PyTorch is slower with two later; each server sets its own number.
                any_number = {name: value for name, value in environment.items() if name != "OMP_NUM_THREADS"}
                process = subprocess.Popen(self._command, env=any_number, start_new_session=True, **files)
            self._running = process, control
        return self._running


LAUNCHER = Launcher()
