"""One lock for all judges of a user on a machine: their programs run side by side, or one of them alone.

Whoever runs a program holds the `running` file shared. A judge that wants exclusive use first locks the `gate` file,
which keeps others from starting their next test, then waits until the running tests end. The files are in the machine's
temporary folder, one pair per user, so two scripts share them.

A suspended process (Ctrl-Z, SIGSTOP, a debugger) keeps its locks, so nobody waits for it: a judge proceeds without a
lock whose holders all stay suspended for a second. If one of them has the gate, a judge that wants exclusive use runs
its program beside the others. Where /proc does not name the holders, a judge waits.
"""

import fcntl
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

BUSY_LOAD = 1.5  # processes that need a core, averaged over a minute: above this the machine is busy
LOOK_SECONDS = 0.01  # between two attempts to take a lock
LOOKS = 100  # consecutive looks that find the holders suspended; strace also suspends a process, but only briefly

PROC = Path("/proc")
_passed: set[int] = set()  # suspended processes that this process no longer waits for
_mutex = threading.Lock()


class MachineLock:
    """One judge's hold on the lock; not for two threads at a time."""

    def __init__(self) -> None:
        prefix = Path(tempfile.gettempdir()) / f".judge-{os.getuid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._gate, self._running = (os.open(f"{prefix}.{name}.lock", flags, 0o600) for name in ("gate", "running"))

    def close(self) -> None:
        """Close the files, which releases the lock."""
        os.close(self._gate)
        os.close(self._running)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold while a program runs, beside others."""
        self._enter()
        try:
            yield
        finally:
            fcntl.flock(self._running, fcntl.LOCK_UN)

    def give_way(self) -> None:
        """Inside `shared`, between two tests of a program: let a judge that waits for exclusive use have it."""
        if _try(self._gate, fcntl.LOCK_SH):
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        else:
            fcntl.flock(self._running, fcntl.LOCK_UN)
            self._enter()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Inside `shared`: hold while no other program of this user's judges runs."""
        fcntl.flock(self._running, fcntl.LOCK_UN)
        with _locked(self._gate, fcntl.LOCK_EX) as gate_is_closed:
            if gate_is_closed:  # otherwise new programs keep starting, and this judge might wait forever
                _take(self._running, fcntl.LOCK_EX)
            yield
            _take(self._running, fcntl.LOCK_SH)

    def _enter(self) -> None:
        with _locked(self._gate, fcntl.LOCK_SH):
            _take(self._running, fcntl.LOCK_SH)

    def machine_is_busy(self) -> bool:
        """Inside `shared`: whether another judge runs a program, or the machine's load is high."""
        if os.getloadavg()[0] > BUSY_LOAD:
            return True
        alone = _try(self._running, fcntl.LOCK_EX)
        _take(self._running, fcntl.LOCK_SH)  # a failed attempt may have released it
        return not alone


@contextmanager
def _locked(file: int, kind: int) -> Iterator[bool]:
    """Hold a lock; yields False if it could not be taken because its holders are suspended."""
    try:
        yield _take(file, kind)
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _try(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take(file: int, kind: int) -> bool:
    """Wait for a lock and take it; False if its holders are suspended."""
    looks = 0
    while not _try(file, kind):
        holders = _suspended_holders(file)
        looks = looks + 1 if holders else 0
        if looks == LOOKS or (holders and holders <= _passed):
            _pass(holders)
            return False
        sleep(LOOK_SECONDS)
    return True


def _suspended_holders(file: int) -> set[int]:
    """The processes that hold locks on a file, if all of them are suspended; see proc_locks(5) and proc_pid_stat(5)."""
    try:
        locks = [line.split() for line in (PROC / "locks").read_text().splitlines()]
        inode = f":{os.fstat(file).st_ino}"
        holders = {int(lock[4]) for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(inode)}
        states = {Path(PROC, str(pid), "stat").read_bytes().rpartition(b")")[2].split()[0] for pid in holders}
    except OSError:  # there is no /proc, or a holder has just ended
        return set()
    return holders if states <= {b"T", b"t"} else set()


def _pass(holders: set[int]) -> None:
    """Stop waiting for suspended processes, and name each of them once."""
    with _mutex:
        new = holders - _passed
        _passed.update(new)
    for pid in sorted(new):
        print(
            f"\nprocess {pid} is suspended while it judges; this judge continues without waiting for it",
            file=sys.stderr,
        )
