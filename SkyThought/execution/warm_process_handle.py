"""The judge's handle to a warm process: starts it, exchanges `messages` with it and ends it. Linux only."""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from SkyThought.execution.container_advice import advice, engine
from SkyThought.sandbox import messages
from SkyThought.sandbox.layers import LAYERS

START_SECONDS = 120  # for the warm process to import its modules, on a busy machine
CLOSE_SECONDS = 10  # for the warm process to end its child and itself
STACK_KILOBYTES = 512 << 10  # the main thread's stack, for deep recursion through C code (sort keys, lru_cache)
PREFIX = "judge-"  # of our folders in the machine's temporary folder


class MachineError(Exception):
    """The judge or the machine failed, not the program: the program may be right or wrong."""


class WarmProcess:
    """One warm process, which starts at once. Not for two threads at a time.

    memory_mb: a program's address space in MiB; layers: names from `LAYERS` to use where the kernel allows them;
    kind: "small" or "large", for the modules of `prelude` to import beforehand, or "small-plain" or "large-plain",
    without its names and other packages; unsafe: continue although programs are not contained. `state` tells which
    layers are on. Raises UserError when the process does not start or cannot contain programs. Every other
    method raises MachineError when the process fails; the handle can then only be closed.
    """

    def __init__(self, memory_mb: int, layers: tuple[str, ...] = LAYERS, kind: str = "small", unsafe: bool = False):
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        for name in ("box", "root"):
            (self.folder / name).mkdir()
        (self.folder / "secret").write_text("secret")
        self._lock = os.open(self.folder / "secret", os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # tells other judges that this folder is in use
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The shell stays, to remove the folder and end remaining processes if this process is killed.
        stack = f'ulimit -Ss {STACK_KILOBYTES} 2>/dev/null || ulimit -Ss "$(ulimit -Hs)"'
        command = f'{stack}; "$@"; status=$?; rm -rf "$0"; [ $status -lt 128 ] || kill -KILL 0; exit $status'
        module = [sys.executable, "-m", "SkyThought.sandbox.warm_process"]
        arguments = [str(theirs.fileno()), str(self.folder), str(os.getpid()), str(memory_mb << 20), kind, *layers]
        with theirs:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", command, self.folder, *module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
                env=_environment(self.folder),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.poller = select.poll()
        self.poller.register(self.control, select.POLLIN)
        self.state = self._wait_until_ready()
        if self.state["possible"] and not unsafe:
            self.close()
            raise UserError(_not_contained(self.state))

    def send(self, message: bytes, *files: int) -> None:
        """Send a message and files, and close the files. Raises MachineError."""
        try:
            messages.send(self.control, message, *files)
        except OSError as error:
            raise MachineError("the judge's warm process died") from error
        finally:
            for file in files:
                os.close(file)

    def receive(self, seconds: float) -> bytes:
        """The next message, if it arrives within this time. Raises MachineError."""
        if not self.poller.poll(1000 * seconds):
            raise MachineError("the judge's warm process does not respond")
        try:
            message, _ = messages.receive(self.control)
        except OSError as error:
            raise MachineError("the judge's warm process died") from error
        if not message:
            raise MachineError("the judge's warm process died")
        return message

    def close(self) -> None:
        """End the process and its children, and remove its folder."""
        with suppress(OSError):  # the process may have ended already
            self.control.shutdown(socket.SHUT_RDWR)  # reaches it even if a fork of this process has the socket too
        self.control.close()
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def _wait_until_ready(self) -> dict[str, Any]:
        try:
            return json.loads(self.receive(START_SECONDS)[1:])
        except MachineError:
            self.close()
            status = self.process.returncode
            raise UserError(f"The judge's warm process, which needs Linux, ended with status {status}.") from None


def _environment(folder: Path) -> dict[str, str]:
    """The programs' environment: only what they need of the judge's own."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    # LD_BIND_NOW: symbols bound at the start need not be looked up in every child.
    pinned = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "LD_BIND_NOW": "1", "HOME": str(folder)}
    return kept | pinned | one_thread


def _not_contained(state: dict[str, Any]) -> str:
    off = "; ".join(f"{name}: {reason}" for name, reason in state["off"].items())
    return (
        f"Programs cannot be contained here: a program could {', '.join(state['possible'])} ({off}). "
        f"{advice(state['off'], engine())} --unsafe runs them uncontained."
    )


def remove_leftovers() -> None:
    """Remove the folders of killed judges."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists() and not _is_in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_in_use(folder: Path) -> bool:
    """Whether its lock is held: a judge in another container may share the temporary folder, but not process ids."""
    try:
        file = os.open(folder / "secret", os.O_RDONLY)
    except OSError:  # another user's, or just being made or removed
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
