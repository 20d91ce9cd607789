"""Accepted replies of a reformatting model, kept by request, so that no text is paid for twice.

A folder with one file per reply, named by a digest of the request and of every setting that shapes the reply:

    runs/reformatted/9f/9f3c...e1.json      {"reply": "...", "structured": true, "attempts": 1, "usage": {...}}
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile
from hindsight.files.records import read_record, write_json


@dataclass(frozen=True)
class Reply:
    """A reply: its text, whether it is JSON, how many attempts it took, and the tokens of all of them.

    not_sent: parameters of the request that the server does not take.
    """

    reply: str
    structured: bool
    attempts: int
    usage: dict[str, int]
    not_sent: list[str] = field(default_factory=list)


class ReplyCache:
    """The replies in a folder; several processes may share it. An empty name disables the cache."""

    def __init__(self, folder: str):
        self.folder = Path(folder) if folder else None

    def get(self, key: str) -> Reply | None:
        """The reply to a request, None if it is missing or its file is broken."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            record = read_record(path, ("reply", "structured", "attempts", "usage"))
        except BrokenFile:
            return None
        return Reply(**{name: record[name] for name in Reply.__dataclass_fields__ if name in record})

    def put(self, key: str, reply: Reply) -> None:
        """Writes the reply to a request."""
        path = self._path(key)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, asdict(reply))

    def _path(self, key: str) -> Path | None:
        return self.folder / key[:2] / f"{key}.json" if self.folder else None


def digest(*parts: Any) -> str:
    """The key of a request: a digest of its text and of the settings that shape the reply."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
