"""The files of a run folder that hold embeddings: which exist, what they lack, how they are written.

    converted_question_12_sample_0_with_embeddings.json

is the converted answer's record and

    {..., "generated_embedding": [0.031, ...], "converted_embedding": [...], "code_embedding": null,
     "embedding_model": "all-MiniLM-L6-v2", "embedding_cut": ["generated"]}

with the requested ones of the three embeddings. `code_embedding` is null for an answer without a program;
`embedding_cut` names the texts that were longer than the model's limit and were cut. An embedding is valid as long as
the converted file still has the same text.
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
from hindsight.text.program_choice import find_program, target_of

SOURCES = {"generated": "generated_text", "converted": "converted_text", "code": "converted_text"}
Key = tuple[int, int]  # question_id, sample_index
# An embedding's line in a file as records.write_json writes it; a file without these lines is parsed ten times as fast
_VECTOR = re.compile(rb'^(  "\w+_embedding": )\[.*\]', re.MULTILINE)


@dataclass(frozen=True)
class AnswerEmbeddings:
    """The state of a converted answer's embeddings, by kind (a key of SOURCES).

    stored: for each valid embedding in its file, whether it is a vector, else null (an answer without a program); cut:
    stored kinds whose text was cut; texts: those still to embed, None for the program of an answer without one.
    """

    key: Key
    record: dict[str, Any]
    stored: dict[str, bool]
    cut: set[str]
    texts: dict[str, str | None]


class EmbeddedRun:
    """The embeddings of some kinds, by one model, in a run folder.

    After `scan`: `todo` has the answers that lack an embedding, `other_models` the answers embedded by other models,
    by model, and `tokens` an estimate of the tokens to embed. `places` has the answer and the kind of each
    stored embedding by its text's digest. `embedded` and `cut` count the texts by kind in all files, including kinds
    that were not requested; `without_program` counts answers whose code embedding is null.
    """

    def __init__(self, folder: Path, what: tuple[str, ...], model: str):
        self.folder, self.what, self.model = folder, what, model
        self.todo: list[Key] = []
        self.other_models: dict[str, list[Key]] = {}
        self.places: dict[bytes, Any] = {}
        self.embedded: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.answers = self.tokens = self.without_program = 0

    def scan(self, estimate: bool, longest: int) -> None:
        """Finds what is embedded; with `estimate`, also counts tokens to embed, at most `longest` per text.

        Raises UserError when the folder is missing or has no converted answers.
        """
        converted = answer_files.require_existing_samples(self.folder, "converted")
        embedded, new = answer_files.existing_samples(self.folder, "embedded"), set()
        self.answers = sum(bits.bit_count() for bits in converted.values())
        for key in tqdm(
            answer_files.sample_keys(converted, without={}), total=self.answers, unit="answer", desc="scan"
        ):
            if not estimate and not embedded.get(key[0], 0) >> key[1] & 1:
                self.todo.append(key)
                continue
            try:
                answer = self.read(key)
            except BrokenFile:  # reported when it is to be embedded
                self.todo.append(key)
                continue
            if answer.texts:
                self.todo.append(key)
            self._count(answer, answer.stored, answer.cut)
            texts = {digest(text): text for text in answer.texts.values() if estimate and text is not None}
            self.tokens += sum(min(estimate_tokens(text), longest) for mark, text in texts.items() if mark not in new)
            new.update(texts)

    def read(self, key: Key) -> AnswerEmbeddings:
        """A converted answer, with the embeddings that its file has and lacks. Raises BrokenFile."""
        path = answer_files.converted_path(self.folder, *key)
        sources = {SOURCES[kind]: None for kind in self.what}
        record = records.read_record(path, tuple(sources))
        record.setdefault("question_id", key[0])
        record.setdefault("sample_index", key[1])
        for source in sources:
            if not isinstance(record[source], str):
                raise BrokenFile(f"{path}: {source} is not a text")
            try:
                record[source].encode()
            except UnicodeEncodeError:
                raise BrokenFile(f"{path}: {source} has half of a surrogate pair, which no tokenizer reads") from None
        before = self._read_stored(key)
        valid = [kind for kind in SOURCES if name_of(kind) in before and same_text(kind, before, record)]
        return AnswerEmbeddings(
            key,
            record,
            stored={kind: before[name_of(kind)] is not None for kind in valid},
            cut=set(before.get("embedding_cut", [])).intersection(valid),
            texts={kind: text_of(record, kind) for kind in self.what if kind not in valid},
        )

    def write(self, answer: AnswerEmbeddings, new: dict[str, Embedding]) -> None:
        """Writes an answer's file: the embeddings it had, and the new ones by kind."""
        path = answer_files.embedded_path(self.folder, *answer.key)
        before = records.read_record(path) if answer.stored else {}
        vectors = {kind: before[name_of(kind)] for kind in answer.stored}
        vectors |= {kind: new[kind].vector.tolist() if kind in new else None for kind in answer.texts}
        cut = {kind for kind in new if new[kind].cut}
        self._count(answer, {kind: kind in new for kind in answer.texts}, cut)
        embeddings = {name_of(kind): vectors[kind] for kind in SOURCES if kind in vectors}
        more = {"embedding_model": self.model, "embedding_cut": [kind for kind in SOURCES if kind in cut | answer.cut]}
        records.write_json(path, {**answer.record, **embeddings, **more})

    def remove_other_models(self) -> None:
        """Removes the files of other models, so that a folder never mixes two models' embeddings."""
        for keys in self.other_models.values():
            for key in keys:
                answer_files.embedded_path(self.folder, *key).unlink(missing_ok=True)

    def embedding_at(self, key: Key, kind: str) -> Embedding:
        """An embedding from its answer's file. Raises BrokenFile."""
        name = name_of(kind)
        record = records.read_record(answer_files.embedded_path(self.folder, *key), (name,))
        return Embedding(np.array(record[name], dtype=np.float32), kind in record.get("embedding_cut", []))

    def _read_stored(self, key: Key) -> dict[str, Any]:
        """The file with an answer's embeddings, without the numbers; {} if missing, broken or by another model."""
        try:
            content = answer_files.embedded_path(self.folder, *key).read_bytes()
            before = json.loads(_VECTOR.sub(rb"\1[]", content))
            model = before["embedding_model"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return {}
        if model != self.model:
            self.other_models.setdefault(str(model), []).append(key)
            return {}
        return before

    def _count(self, answer: AnswerEmbeddings, stored: dict[str, bool], cut: set[str]) -> None:
        """Counts embeddings of an answer that are in its file, or are about to be written."""
        for kind, is_vector in stored.items():
            text = text_of(answer.record, kind)
            if is_vector and text is not None:
                self.places[digest(text)] = (answer.key, kind)
                self.embedded[kind] += 1
            else:
                self.without_program += 1
        self.cut.update(cut)


def name_of(kind: str) -> str:
    """The key of an embedding in a file."""
    return f"{kind}_embedding"


def text_of(record: dict[str, Any], kind: str) -> str | None:
    """The text of a record to embed; None for the program of an answer without one, or with an empty one."""
    text = record[SOURCES[kind]]
    if kind != "code":
        return text
    code = find_program(text, target_of(record.get("metadata")))
    return code if code and code.strip() else None


def same_text(kind: str, before: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether a stored embedding is of the record's current text."""
    return SOURCES[kind] in record and before.get(SOURCES[kind]) == record[SOURCES[kind]]


def digest(text: str) -> bytes:
    """A key for a text that takes less memory than the text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
