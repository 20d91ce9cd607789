"""Another process that locks samples of a run folder."""

import json
import subprocess
import sys
from pathlib import Path

HOLD = """
import json, sys
from pathlib import Path
from hindsight.files.sample_locks import SampleLocks
with SampleLocks(Path(sys.argv[1])) as locks:
    print(json.dumps([locks.acquire(*sample) for sample in json.loads(sys.argv[2])]), flush=True)
    sys.stdin.read()
"""


class LockHolder:
    """Locks samples and holds them until it is released or killed; `locked` says for each whether it could."""

    def __init__(self, folder: Path, samples: list[tuple[int, int]]):
        words = [sys.executable, "-c", HOLD, str(folder), json.dumps(samples)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.locked = json.loads(self._process.stdout.readline())

    def release(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        self._process.kill()
        self._process.wait()
