"""The files of a run folder that hold embeddings: which are there, what they lack, how they are written.

    converted_question_12_sample_0_with_embeddings.json

is the converted answer's record and

    {..., "generated_embedding": [0.031, ...], "converted_embedding": [...], "code_embedding": null,
     "embedding_model": "all-MiniLM-L6-v2", "embedding_cut": ["generated"]}

with those of the three embeddings that were asked for. `code_embedding` is null where the answer has no program;
`embedding_cut` names the texts that were longer than the model takes, and were cut there. An embedding holds as long
as its text is still the converted file's.
"""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from analysis.embeddings.models import Embedding
from hindsight.errors import BrokenFile
from hindsight.files import answer_files, records
from hindsight.servers.budgets import estimate_tokens
from hindsight.text.code_blocks import extract_code

SOURCES = {"generated": "generated_text", "converted": "converted_text", "code": "converted_text"}
Key = tuple[int, int]  # question_id, sample_index
# An embedding's line in a file as records.write_json lays it out: without it a file is read ten times as fast
_VECTOR = re.compile(rb'^(  "\w+_embedding": )\[.*\]', re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """Where the embedding of a text lies: in which answer's file, and which one of it."""

    key: Key
    kind: str


@dataclass(frozen=True)
class Answer:
    """A converted answer: its record, what its file has of embeddings that hold, and the texts that are to be embedded.

    By kind, a name of SOURCES: `has` says whether there is one or null, for the program of an answer without any; that
    is None in `texts`. `cut` are the kinds whose text was cut.
    """

    key: Key
    record: dict[str, Any]
    has: dict[str, bool]
    cut: set[str]
    texts: dict[str, str | None]


class EmbeddedRun:
    """A run folder's embeddings of some kinds by one model.

    After `look`: `todo` are the answers that lack something, `others` the models that embedded some of these before,
    each with its answers, `tokens` about how many there are to embed. `places` is where the embedding of a text is, by
    its digest. All files that are there, whatever was asked for: `embedded` and `cut` count their texts by kind,
    `without_program` those answers.
    """

    def __init__(self, folder: Path, what: tuple[str, ...], model: str):
        self.folder, self.what, self.model = folder, what, model
        self.todo: list[Key] = []
        self.others: dict[str, list[Key]] = {}
        self.places: dict[bytes, Any] = {}
        self.embedded: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.answers = self.tokens = self.without_program = 0

    def look(self, estimate: bool, longest: int) -> None:
        """Finds out what is there; with `estimate` counts the tokens too, a text's up to `longest`.

        Raises UserError when the folder is missing, or has no converted answers.
        """
        converted = answer_files.require_existing_samples(self.folder, "converted")
        embedded, new = answer_files.existing_samples(self.folder, "embedded"), set()
        self.answers = sum(bits.bit_count() for bits in converted.values())
        for key in tqdm(
            answer_files.sample_keys(converted, without={}), total=self.answers, unit="answer", desc="look"
        ):
            if not estimate and not embedded.get(key[0], 0) >> key[1] & 1:
                self.todo.append(key)
                continue
            try:
                answer = self.read(key)
            except BrokenFile:  # it is named when it is to be embedded
                self.todo.append(key)
                continue
            if answer.texts:
                self.todo.append(key)
            self._count(answer, answer.has, answer.cut)
            texts = {digest(text): text for text in answer.texts.values() if estimate and text is not None}
            self.tokens += sum(min(estimate_tokens(text), longest) for mark, text in texts.items() if mark not in new)
            new.update(texts)

    def read(self, key: Key) -> Answer:
        """A converted answer, and what its file has and lacks. Raises BrokenFile."""
        path = answer_files.converted_path(self.folder, *key)
        sources = {SOURCES[kind]: None for kind in self.what}
        record = records.read_record(path, tuple(sources))
        record.setdefault("question_id", key[0])
        record.setdefault("sample_index", key[1])
        for source in sources:
            if not isinstance(record[source], str):
                raise BrokenFile(f"{path}: {source} is not a text")
        before = self._before(key)
        holding = [kind for kind in SOURCES if name_of(kind) in before and same_text(kind, before, record)]
        return Answer(
            key,
            record,
            has={kind: before[name_of(kind)] is not None for kind in holding},
            cut=set(before.get("embedding_cut", [])).intersection(holding),
            texts={kind: text_of(record, kind) for kind in self.what if kind not in holding},
        )

    def write(self, answer: Answer, found: dict[str, Embedding]) -> None:
        """Writes the file of an answer: what it had, and what was found for its texts."""
        path = answer_files.embedded_path(self.folder, *answer.key)
        before = records.read_record(path) if answer.has else {}
        vectors = {kind: before[name_of(kind)] for kind in answer.has}
        vectors |= {kind: found[kind].vector.tolist() if kind in found else None for kind in answer.texts}
        new = {kind for kind in found if found[kind].cut}
        self._count(answer, {kind: kind in found for kind in answer.texts}, new)
        embeddings = {name_of(kind): vectors[kind] for kind in SOURCES if kind in vectors}
        cut = [kind for kind in SOURCES if kind in new | answer.cut]
        named = {"embedding_model": self.model, "embedding_cut": cut}
        records.write_json(path, {**answer.record, **embeddings, **named})

    def counts(self) -> dict[str, Any]:
        """What the files hold, for run.json."""
        return {"embedded": dict(self.embedded), "cut": dict(self.cut), "without_program": self.without_program}

    def remove_others(self) -> None:
        """Removes the files of other models: two models' embeddings must not stand side by side."""
        for keys in self.others.values():
            for key in keys:
                answer_files.embedded_path(self.folder, *key).unlink(missing_ok=True)

    def embedding_at(self, place: Place) -> Embedding:
        """An embedding that is in a file. Raises BrokenFile."""
        name = name_of(place.kind)
        record = records.read_record(answer_files.embedded_path(self.folder, *place.key), (name,))
        return Embedding(np.array(record[name], dtype=np.float32), place.kind in record.get("embedding_cut", []))

    def _before(self, key: Key) -> dict[str, Any]:
        """The file with an answer's embeddings, these emptied; {} where this model has none that can be read."""
        try:
            content = answer_files.embedded_path(self.folder, *key).read_bytes()
            before = json.loads(_VECTOR.sub(rb"\1[]", content))
            model = before["embedding_model"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return {}
        if model != self.model:
            self.others.setdefault(str(model), []).append(key)
            return {}
        return before

    def _count(self, answer: Answer, has: dict[str, bool], cut: set[str]) -> None:
        """Takes note of embeddings of an answer that are in its file, or will be in a moment."""
        for kind, there in has.items():
            text = text_of(answer.record, kind)
            if there and text is not None:
                self.places[digest(text)] = Place(answer.key, kind)
                self.embedded[kind] += 1
            else:
                self.without_program += 1
        self.cut.update(cut)


def name_of(kind: str) -> str:
    """The key of an embedding in a file."""
    return f"{kind}_embedding"


def text_of(record: dict[str, Any], kind: str) -> str | None:
    """The text of a record that is embedded; None for the program of an answer that has none, or an empty one."""
    text = record[SOURCES[kind]]
    if kind != "code":
        return text
    code = extract_code(text)
    return code if code and code.strip() else None


def same_text(kind: str, before: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether an embedding that was made before is that of a record's text as it is now."""
    return SOURCES[kind] in record and before.get(SOURCES[kind]) == record[SOURCES[kind]]


def digest(text: str) -> bytes:
    """A text's key, which takes less room than the text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
