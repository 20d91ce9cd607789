"""Replies of a reformatting model, kept by what was asked, so that the same text is never paid for twice.

A folder with a file for each reply that was kept, named by a digest of the question and of all that shapes the reply:

    runs/reformatted/9f/9f3c...e1.json      {"reply": "...", "structured": true, "attempts": 1, "usage": {...}}
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile
from hindsight.files.records import read_record, write_json

KEYS = ("reply", "structured", "attempts", "usage")


class ReplyCache:
    """The replies in a folder; several processes may use it at once. An empty name: nothing is kept."""

    def __init__(self, folder: str):
        self.folder = Path(folder) if folder else None

    def get(self, key: str) -> dict[str, Any] | None:
        """A reply that was kept before, None when there is none, or its file is broken."""
        if self.folder is None or not self._path(key).exists():
            return None
        try:
            return read_record(self._path(key), KEYS)
        except BrokenFile:
            return None

    def put(self, key: str, kept: dict[str, Any]) -> None:
        """Keeps a reply: the KEYS."""
        if self.folder is not None:
            self._path(key).parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path(key), kept)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def digest(*parts: Any) -> str:
    """The name of a question: a digest of a text and of the settings that shape the reply."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
