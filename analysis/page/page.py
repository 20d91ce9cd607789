"""The page itself: the list of answers and their texts in packed chunks, rendered as one HTML file."""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.page.shown_record import prompt_parts, question_of, shown_record, title_of
from hindsight.files.verdicts import verdict_name

HTML, SCRIPT = Path(__file__).with_name("answers.html"), Path(__file__).with_name("answers.js")
CHUNK = 400_000  # characters of answers that are packed and unpacked together


@dataclass
class Page:
    """The contents of the page.

    runs: name and model of each run; rows: the list, [run, question id, sample index, verdict, tokens] each, where run
    and verdict are numbers; titles: those of the problems with each id, several if the runs have different problems;
    chunks: the packed answers, of which `starts` has each chunk's first row; missing: the number of answers that are
    not on the page, by reason.
    """

    runs: list[tuple[str, str]]
    rows: list[list[Any]] = field(default_factory=list)
    titles: dict[int, dict[str, None]] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    _answers: list[dict[str, Any]] = field(default_factory=list)
    _shared: dict[str, int] = field(default_factory=dict)
    _size: int = 0

    def add(self, run: int, record: Mapping[str, Any]) -> None:
        """Adds an answer of the run with the given number."""
        question_id, question = record["question_id"], question_of(record)
        self.titles.setdefault(question_id, {})[title_of(question)] = None
        verdict = self.verdicts.setdefault(verdict_name(record), len(self.verdicts))
        tokens = (record.get("usage") or {}).get("completion_tokens")
        self.rows.append([run, question_id, record["sample_index"], verdict, tokens])
        answer = shown_record(record)
        for key, text in (("question", question), ("prompt", json.dumps(prompt_parts(record.get("prompt"))))):
            answer[key] = self._shared.setdefault(text, len(self._shared))
        self._answers.append(answer)
        self._size += len(record["generated_text"]) + len(record.get("converted_text") or "")
        if self._size > CHUNK:
            self._close_chunk()

    def render(self) -> bytes:
        """The HTML file. Its content policy allows only the page's own script and loads nothing."""
        self._close_chunk()
        index = {
            "missing": self.missing,
            "runs": self.runs,
            "verdicts": list(self.verdicts),
            "titles": [(question, " | ".join(filter(None, found))) for question, found in sorted(self.titles.items())],
            "rows": self.rows,
            "starts": self.starts,
        }
        script = SCRIPT.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
        parts = {
            "script": script,
            "digest": f"'sha256-{digest}'",
            "index": safe_json(index),
            "chunks": "\n".join(f'<script type="text/plain" class="chunk">{chunk}</script>' for chunk in self.chunks),
        }
        template = HTML.read_text(encoding="utf-8")
        return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode("utf-8")

    def _close_chunk(self) -> None:
        """Packs the answers added since the last chunk."""
        if self._answers:
            self.starts.append(len(self.rows) - len(self._answers))
            self.chunks.append(pack({"shared": list(self._shared), "answers": self._answers}))
        self._answers, self._shared, self._size = [], {}, 0


def pack(value: Any) -> str:
    """JSON as the base64 of its zlib stream: none of its characters has a meaning in HTML."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode("ascii"))).decode("ascii")


def safe_json(value: Any) -> str:
    """JSON in ASCII for a script element: it has no `<` that could end the element or open a comment."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
