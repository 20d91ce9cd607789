"""Two processes on one folder do not make the same sample twice.

Each sample has one byte of the folder's file `.lock`; a process locks the bytes of the samples it is making
(fcntl(2), "advisory record locking"). The kernel frees them when the process ends, however it ends, so nothing can be
left behind; on network file systems it works where these carry locks to other machines, as NFS 4 does.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

from hindsight.errors import UserError

LOCK_FILE = ".lock"
SAMPLES = 1 << 20  # bytes for one problem
LAST_BYTE = (1 << 62) - 1
TAKEN = (errno.EACCES, errno.EAGAIN)


class SampleLocks:
    """The samples of a folder that this process is making, by `with`. Raises UserError where nothing can be locked."""

    def __init__(self, folder: Path):
        self._path = folder / LOCK_FILE
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> "SampleLocks":
        return self

    def __exit__(self, *exception: Any) -> None:
        os.close(self._file)

    def acquire(self, question_id: int, sample_index: int) -> bool:
        """SampleLocks a sample; False: another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(question_id, sample_index))
        except OSError as error:
            if error.errno in TAKEN:
                return False
            reason = f"{self._path} cannot be locked ({error.strerror})"
            raise UserError(f"{reason}: give a folder on another disk") from None
        return True

    def release(self, question_id: int, sample_index: int) -> None:
        """Frees a sample, which is written by now or has failed."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _byte(question_id, sample_index))


def _byte(question_id: int, sample_index: int) -> int:
    return (question_id * SAMPLES + sample_index) & LAST_BYTE
