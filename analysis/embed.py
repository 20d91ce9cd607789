"""Embeds the converted answers of a run: the raw text, the converted text, the program, as WHAT says.

Reads converted_question_*_sample_*.json; writes converted_question_*_sample_*_with_embeddings.json beside each, with
`generated_embedding`, `converted_embedding`, `code_embedding` (lists of floats; null for an answer without a program),
`embedding_model`, and `embedding_cut` (see analysis/embeddings/files.py). Nothing is embedded twice: a run that was
killed goes on where it was, another WHAT is added to the files that are there, equal texts are embedded once.

The model is one of sentence-transformers, by its name or folder, or one behind the OpenAI protocol: text-embedding-*,
or any model of the server EMBEDDING_URL.

    python analysis/embed.py --input_dir runs/lab/instruct
    python analysis/embed.py --input_dir runs/lab/instruct --what code
    python analysis/embed.py --embedding_model text-embedding-3-large --dry_run              # with OPENAI_API_KEY set
    python analysis/embed.py --embedding_url http://localhost:8000/v1           # vllm serve MODEL --runner pooling
"""

import asyncio
import itertools
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script, and ours lie one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from analysis.embeddings.files import SOURCES, Answer, EmbeddedRun, Key, Place, digest
from analysis.embeddings.models import MINILM, MOST_TEXTS, OPENAI_PREFIX, OPENAI_TOKENS, ApiModel, Embedding, LocalModel
from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import answer_files
from hindsight.files.runs import open_step
from hindsight.servers.budgets import Bill, Prices, read_budget
from hindsight.servers.client import ItemFailed, only_model, require_model
from hindsight.servers.job_queue import Failures
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIR = "runs/lab/instruct"    # the run folder with the converted answers
WHAT = ["generated", "converted"]  # texts to embed: generated (raw), converted, code (the program of the converted)
EMBEDDING_MODEL = ""               # empty: text-embedding-3-small (the paper's) with OPENAI_API_KEY, else MiniLM here
EMBEDDING_URL = ""                 # its server; empty: OPENAI_BASE_URL or OpenAI for text-embedding-*, else none
BATCH_SIZE = 64                    # texts embedded at once, in one request

PRICE = 0.0      # dollars for a million tokens; 0: OpenAI's for its models, nothing for others
BUDGET = ""      # "1 USD" or "200000 tokens": nothing is asked that may cost more; empty: none
DRY_RUN = False  # stop after the estimate of what it would cost

CONCURRENCY = 8               # requests in flight
SERVER_DEADLINE = 600         # seconds a server may stay away during the run before it is given up
ALLOW_OTHER_SETTINGS = False  # embed anew in a folder that was embedded by another model
# fmt: on

# Settings that may change between two calls that embed one folder: they change no embedding.
MAY_DIFFER = ("input_dir", "what", "embedding_url", "batch_size", "price", "budget", "dry_run", "concurrency")
MAY_DIFFER += ("server_deadline",)
OPENAI_MODEL, OPENAI_URL = "text-embedding-3-small", "https://api.openai.com/v1"
# dollars for a million tokens, by the models' pages at developers.openai.com/api/docs/models, November 2026
OPENAI_PRICES = {"text-embedding-3-small": 0.02, "text-embedding-3-large": 0.13, "text-embedding-ada-002": 0.10}


def with_model(settings: Settings) -> tuple[Settings, str]:
    """The settings with the model's name, its server and its price filled in, and why it is that model.

    Raises UserError when they make no sense, or the server or the model is not there.
    """
    check(settings)
    key, url, name = os.environ.get("OPENAI_API_KEY"), settings.embedding_url, settings.embedding_model
    why = "as EMBEDDING_MODEL says"
    if not name and url:
        name, why = asyncio.run(only_model(url)), "its only model"
    elif not name and key:
        name, why = OPENAI_MODEL, f"as OPENAI_API_KEY is set (free, on this machine: --embedding_model {MINILM})"
    elif not name:
        name, why = MINILM, "as OPENAI_API_KEY is not set"
    if name == f"sentence-transformers/{MINILM}":
        name = MINILM
    if url or name.startswith(OPENAI_PREFIX):
        url = url or os.environ.get("OPENAI_BASE_URL") or (OPENAI_URL if key else "")
        require(bool(url), f"{name} needs OPENAI_API_KEY, or a server by --embedding_url or OPENAI_BASE_URL")
        asyncio.run(require_model(url, name))
    price = settings.price or OPENAI_PRICES.get(name, 0.0)
    return Settings({**settings, "embedding_model": name, "embedding_url": url, "price": price}), why


def check(settings: Settings) -> None:
    """Raises UserError when a setting makes no sense."""
    what = ", ".join(settings.what)
    require(bool(what) and set(settings.what) <= set(SOURCES), f"WHAT has some of {', '.join(SOURCES)}, not {what!r}")
    require(0 < settings.batch_size <= MOST_TEXTS, f"BATCH_SIZE is at least 1 and at most {MOST_TEXTS}")
    require(settings.concurrency > 0 and settings.price >= 0, "CONCURRENCY is 1 or more, PRICE 0 or more")
    read_budget(settings.budget)


def open_model(settings: Settings) -> LocalModel | ApiModel:
    """The embedding model that the settings name, by `async with`."""
    name, url, size = settings.embedding_model, settings.embedding_url, settings.batch_size
    if not url:
        return LocalModel(name, size)
    bill = Bill(Prices(settings.price, 0.0), read_budget(settings.budget))
    return ApiModel(name, url, size, settings.server_deadline, bill, say=tqdm.write)


class Embedder:
    """Embeds the answers of a run: each text once, however many answers have it."""

    def __init__(self, run: EmbeddedRun, model: LocalModel | ApiModel, failures: Failures):
        self.run, self.model, self.failures, self.written = run, model, failures, 0

    async def embed_all(self, batch_size: int, workers: int) -> None:
        """Embeds what is to be done, so many answers at a time, and writes each file when its texts are embedded."""
        keys = iter(self.run.todo)
        with tqdm(total=len(self.run.todo), unit="answer", desc="embed") as bar:

            async def work() -> None:
                while not self.model.gone and (batch := list(itertools.islice(keys, batch_size))):
                    await self.embed_answers(batch)
                    bar.update(len(batch))

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(workers):
                        group.create_task(work())
            except ExceptionGroup as group:  # the first one ended the others: a full disk, say
                raise group.exceptions[0] from None

    async def embed_answers(self, keys: list[Key]) -> None:
        """Embeds answers and writes their files; those that cannot be embedded are added to `failures`."""
        answers = []
        for key in keys:
            try:
                answers.append(self.run.read(key))
            except BrokenFile as error:
                self.failures.add(str(error), "a broken file")
        await self.embed_new([text for answer in answers for text in answer.texts.values() if text is not None])
        for answer in answers:
            await self.finish(answer)

    async def embed_new(self, texts: list[str]) -> None:
        """Embeds the texts that no file has and nobody is at; `places` has a future for each of them meanwhile."""
        new = {digest(text): text for text in texts if digest(text) not in self.run.places}
        if not new:
            return
        futures = {mark: asyncio.get_running_loop().create_future() for mark in new}
        self.run.places.update(futures)
        found = await self.model.embed(list(new.values()))
        for future, embedding in zip(futures.values(), found, strict=True):
            future.set_result(embedding)

    async def finish(self, answer: Answer) -> None:
        """Writes an answer's file when all its texts have embeddings."""
        texts = {kind: text for kind, text in answer.texts.items() if text is not None}
        found = {kind: await self.embedding_of(text) for kind, text in texts.items()}
        reasons = [each for each in found.values() if not isinstance(each, Embedding)]
        if not reasons:
            self.run.write(answer, found)
            self.written += 1
        elif isinstance(reasons[0], ItemFailed):
            self.failures.add(answer_files.converted_path(self.run.folder, *answer.key).name, str(reasons[0]))

    async def embedding_of(self, text: str) -> Any:
        """A text's embedding, or why it has none: from where another of its answers has it, or will have."""
        place = self.run.places[digest(text)]
        if not isinstance(place, Place):
            return await place
        try:
            return self.run.embedding_at(place)
        except BrokenFile as error:
            return ItemFailed(str(error))


async def embed(run: EmbeddedRun, settings: Settings, failures: Failures) -> tuple[int, list[str]]:
    """Embeds what is to be done and notes it in run.json: how many answers it did, and sentences for the end."""
    model = open_model(settings) if run.todo else None
    step = open_step(run.folder, Path(__file__).name, settings, MAY_DIFFER)
    run.remove_others()
    written, report, more = 0, [], {}
    if model:
        async with model:
            embedder = Embedder(run, model, failures)
            await embedder.embed_all(settings.batch_size, settings.concurrency if settings.embedding_url else 1)
        written, report, more = embedder.written, *ending(model)
    step.close(missing=len(run.todo) - written, **more, **run.counts())
    if model and run.cut:
        report.append(f"longer than the model's {model.longest:,} tokens, and cut there: {by_kind(run.cut)}")
    if run.without_program and "code" in settings.what:
        report.append(f"{run.without_program} answers have no program, so their code_embedding is null")
    return written, report


def ending(model: LocalModel | ApiModel) -> tuple[list[str], dict[str, Any]]:
    """What a model has to say at the end, and what run.json keeps of it."""
    facts = {"model_from": model.origin, "longest": model.longest}
    if isinstance(model, LocalModel):
        return [], facts
    report = [f"the server stopped answering: {model.gone}; run again to go on"] if model.gone else []
    report += [model.note] if model.note else []
    bill = model.bill
    report.append(f"the bill: {bill.requests:,} requests, {bill.prompt_tokens:,} tokens, ${bill.dollars:.4f}")
    return report, {**facts, "bill": bill.counts()}


def by_kind(counted: Counter[str]) -> str:
    """Counts of texts in words: "3 generated, 1 code"."""
    return ", ".join(f"{counted[kind]} {kind}" for kind in SOURCES if counted[kind])


def main(settings: Settings) -> int:
    settings, why = with_model(settings)
    name, by_api = settings.embedding_model, bool(settings.embedding_url)
    run = EmbeddedRun(Path(settings.input_dir), settings.what, name)
    run.look(estimate=by_api, longest=OPENAI_TOKENS if name.startswith(OPENAI_PREFIX) else sys.maxsize)
    print(f"model: {name} {f'at {settings.embedding_url}' if by_api else 'on this machine'}, {why}")
    print(
        f"{run.folder}: {run.answers} converted answers, {run.answers - len(run.todo)} embedded before "
        f"({', '.join(settings.what)})"
    )
    if run.others and not settings.allow_other_settings:
        raise UserError(
            f"{run.folder} was embedded with other settings (by {', '.join(run.others)}, not by {name}): "
            "give another folder, the same model, or --allow_other_settings"
        )
    if by_api:
        dollars = run.tokens * settings.price / 1e6
        price = f"${dollars:.4f}" if settings.price else "at no price that is known (--price)"
        print(f"{len(run.todo)} answers to embed: about {run.tokens:,} tokens, {price}")
    if settings.dry_run:
        print("nothing was embedded")
        return 0
    failures = Failures()
    written, report = asyncio.run(embed(run, settings, failures))
    missing = len(run.todo) - written
    report += [failures.report()] if failures else []
    print("\n".join([f"{written} embedded by {name}, {missing} not", *report]))
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main, globals())
