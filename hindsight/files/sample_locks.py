"""Locks on samples, so that two processes in one folder never make the same sample twice.

Each sample has one byte of the folder's file `.lock`; a process locks the bytes of the samples it is making (fcntl(2),
"advisory record locking"). The kernel frees them when the process ends, even by a kill, so no lock is ever left behind.
docs/cluster.md lists the network file systems on which these locks hold between machines; elsewhere, shards alone
divide the work.
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
ADVICE = "give a folder on another disk, or let shards divide the work, by --shards, --shard and --locks false"


class SampleLocks:
    """Locks on the samples that this process is making, by `with`.

    `enabled` is false if no other process makes these samples: then each is free, and no file is made.
    """

    def __init__(self, folder: Path, enabled: bool = True):
        self._path, self._enabled, self._file = folder / LOCK_FILE, enabled, -1

    def __enter__(self) -> "SampleLocks":
        if self._enabled:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._enabled:
            os.close(self._file)

    def acquire(self, question_id: int, sample_index: int) -> bool:
        """Locks a sample; False if another process holds it. Raises UserError if the file system has no locks."""
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, question_id, sample_index)

    def release(self, question_id: int, sample_index: int) -> None:
        """Unlocks a sample, after it was written or has failed. Raises UserError as `acquire` does."""
        self._lock(fcntl.LOCK_UN, question_id, sample_index)

    def _lock(self, command: int, question_id: int, sample_index: int) -> bool:
        if not self._enabled:
            return True
        try:
            fcntl.lockf(self._file, command, 1, _byte(question_id, sample_index))
        except OSError as error:
            if error.errno in TAKEN:
                return False
            raise UserError(f"{self._path} cannot be locked ({error.strerror}): {ADVICE}") from None
        return True


def is_locked(folder: Path) -> bool | None:
    """Whether a process is making a sample in the folder, as far as its disk shares locks; None: unknown.

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
