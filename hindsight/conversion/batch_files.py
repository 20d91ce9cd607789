"""The batches of a run on disk, so that a killed run resumes and sends nothing twice.

Each batch has three files:

    0001.requests.jsonl      one request per line, named by its key; written before it is sent
    0001.json                the batch's id and status at the server, "collected" once its replies are used
    0001.replies.jsonl       the server's replies
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hindsight.files.records import read_record, write_bytes, write_json

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000  # per batch: the API's limits, the second with a margin
ENDPOINT = "/v1/chat/completions"

RequestBody = tuple[str, dict[str, Any]]  # the request's key, and its body for ENDPOINT


class BatchFiles:
    """The batches in a folder, by their numbers from 1."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def numbers(self) -> list[int]:
        """The numbers of all batches."""
        return sorted(int(path.name.split(".")[0]) for path in self.folder.glob("*.requests.jsonl"))

    def uncollected(self) -> list[int]:
        """The numbers of the batches whose replies have not been used yet."""
        return [number for number in self.numbers() if not self.state(number).get("collected")]

    def add(self, bodies: Iterable[RequestBody]) -> None:
        """Writes requests as new batches, each as large as the API allows."""
        lines: list[bytes] = []
        size = 0
        for key, body in bodies:
            line = json.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}).encode() + b"\n"
            if len(lines) == MOST_REQUESTS or (lines and size + len(line) > MOST_BYTES):
                self._add_batch(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            self._add_batch(lines)

    def requests_path(self, number: int) -> Path:
        """The file that is sent."""
        return self._path(number, "requests.jsonl")

    def requests(self, number: int) -> Iterator[RequestBody]:
        """The requests of a batch."""
        with self.requests_path(number).open("rb") as file:
            for line in file:
                request = json.loads(line)
                yield request["custom_id"], request["body"]

    def requests_after(self, number: int) -> Iterator[RequestBody]:
        """The requests of every later batch."""
        for later in self.numbers():
            if later > number:
                yield from self.requests(later)

    def state(self, number: int) -> dict[str, Any]:
        """The batch at the server: its `id`, `status` and `collected`; empty before it is sent."""
        path = self._path(number, "json")
        return read_record(path) if path.exists() else {}

    def write_state(self, number: int, **state: Any) -> None:
        """Records the batch's state."""
        write_json(self._path(number, "json"), state)

    def replies(self, number: int, download: Iterable[bytes]) -> dict[str, dict[str, Any]]:
        """The reply lines of a batch by request key; `download` gives their files, and is read only once per batch."""
        path = self._path(number, "replies.jsonl")
        if not path.exists():
            write_bytes(path, b"".join(content.rstrip(b"\n") + b"\n" for content in download))
        return {line["custom_id"]: line for line in map(json.loads, path.read_bytes().splitlines()) if line}

    def _add_batch(self, lines: list[bytes]) -> None:
        write_bytes(self.requests_path(max(self.numbers(), default=0) + 1), b"".join(lines))

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number:04}.{suffix}"
