"""Locks on samples, so that two processes in one folder never make the same sample twice.

Each sample has one byte of the folder's file `.lock`; a process locks the bytes of the samples it is making
(fcntl(2), "advisory record locking"). The kernel frees them when the process ends, even by a kill, so no lock is ever
left behind. On network file systems this works if they share locks between machines, as NFS 4 does.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Any

from hindsight.errors import UserError

LOCK_FILE = ".lock"
SAMPLES = 1 << 20  # bytes reserved per problem
LAST_BYTE = (1 << 62) - 1
TAKEN = (errno.EACCES, errno.EAGAIN)
FLOCK = "hhqqi"  # struct flock of fcntl(2): type, whence, start, length (0: to the end), process


class SampleLocks:
    """Locks on the samples that this process is making, by `with`. Raises UserError if files cannot be locked."""

    def __init__(self, folder: Path):
        self._path = folder / LOCK_FILE
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> "SampleLocks":
        return self

    def __exit__(self, *exception: Any) -> None:
        os.close(self._file)

    def acquire(self, question_id: int, sample_index: int) -> bool:
        """Locks a sample; False if another process holds it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(question_id, sample_index))
        except OSError as error:
            if error.errno in TAKEN:
                return False
            reason = f"{self._path} cannot be locked ({error.strerror})"
            raise UserError(f"{reason}: give a folder on another disk") from None
        return True

    def release(self, question_id: int, sample_index: int) -> None:
        """Unlocks a sample, after it was written or has failed."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _byte(question_id, sample_index))


def is_locked(folder: Path) -> bool | None:
    """Whether a process is making a sample in the folder, as far as its disk shares locks; None: it cannot be told.

    Asks without locking anything.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError:
        return None
    finally:
        os.close(file)
    return struct.unpack(FLOCK, found)[0] != fcntl.F_UNLCK


def _byte(question_id: int, sample_index: int) -> int:
    return (question_id * SAMPLES + sample_index) & LAST_BYTE
