"""Embeds the converted answers of runs: the raw text, the converted text and the program, as WHAT selects.

Reads converted_question_*_sample_*.json; writes converted_question_*_sample_*_with_embeddings.json beside each, with
`generated_embedding`, `converted_embedding`, `code_embedding` (lists of floats; null for an answer without a program),
`embedding_model` and `embedding_cut` (see analysis/embeddings/files.py). Nothing is embedded twice: a killed run
resumes where it stopped, a different WHAT is added to the existing files, and equal texts are embedded once.

The model is a sentence-transformers model, by its name or folder, or one behind the OpenAI protocol: text-embedding-*,
or any model of the server at EMBEDDING_URL.

    python analysis/embed.py --input_dirs runs/lab/alpha_0.7 runs/lab/instruct
    python analysis/embed.py --input_dirs runs/lab/instruct --what code
    python analysis/embed.py --embedding_model text-embedding-3-large --dry_run              # with OPENAI_API_KEY set
    python analysis/embed.py --embedding_url http://localhost:8000/v1           # vllm serve MODEL --runner pooling
"""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python looks for modules beside a script; ours are one folder up
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from analysis.embeddings.files import SOURCES, AnswerEmbeddings, EmbeddedRun, Key, digest
from analysis.embeddings.models import MINILM, MOST_TEXTS, OPENAI_PREFIX, OPENAI_TOKENS, ApiModel, Embedding, LocalModel
from hindsight.errors import BrokenFile, UserError, require
from hindsight.files import answer_files
from hindsight.files.runs import RunEntry, open_step
from hindsight.servers.budgets import Bill, Prices, read_budget
from hindsight.servers.client import ItemFailed, served_model
from hindsight.servers.job_queue import Failures
from hindsight.settings import Settings, run_script

# fmt: off
INPUT_DIRS = ["runs/lab/instruct"]  # run folders with the converted answers
WHAT = ["generated", "converted"]   # texts to embed: generated (raw), converted, code (the program of the converted)
EMBEDDING_MODEL = ""                # empty: text-embedding-3-small (the paper's) with OPENAI_API_KEY, else local MiniLM
EMBEDDING_URL = ""                  # model's server; empty: OPENAI_BASE_URL or OpenAI for text-embedding-*, else local
BATCH_SIZE = 64                     # texts per batch and request

PRICE = 0.0      # dollars per million tokens; 0: OpenAI's price for its models, nothing for others
BUDGET = ""      # "1 USD" or "200000 tokens": no request may exceed it; empty: no limit
DRY_RUN = False  # stop after the cost estimate

CONCURRENCY = 8               # requests in flight
SERVER_DEADLINE = 600         # seconds a server may be away during the run before the run gives up
ALLOW_OTHER_SETTINGS = False  # embed again in a folder that another model embedded
# fmt: on

# Settings that may differ between two calls on one folder, because they do not affect the embeddings
MAY_DIFFER = ("input_dirs", "what", "embedding_url", "batch_size", "price", "budget", "dry_run", "concurrency")
MAY_DIFFER += ("server_deadline",)
OPENAI_MODEL, OPENAI_URL = "text-embedding-3-small", "https://api.openai.com/v1"
# Dollars per million tokens, from the models' pages at developers.openai.com/api/docs/models, November 2026
OPENAI_PRICES = {"text-embedding-3-small": 0.02, "text-embedding-3-large": 0.13, "text-embedding-ada-002": 0.10}


@dataclass(frozen=True)
class Options:
    """What to embed, and how many texts at once."""

    input_dirs: tuple[str, ...]
    what: tuple[str, ...]
    batch_size: int
    concurrency: int
    dry_run: bool
    allow_other_settings: bool

    def __post_init__(self) -> None:
        require(bool(self.input_dirs), "INPUT_DIRS needs a run folder")
        what = ", ".join(self.what)
        require(
            bool(what) and set(self.what) <= set(SOURCES), f"WHAT has values from {', '.join(SOURCES)}, not {what!r}"
        )
        require(0 < self.batch_size <= MOST_TEXTS, f"BATCH_SIZE is at least 1 and at most {MOST_TEXTS}")
        require(self.concurrency > 0, "CONCURRENCY is 1 or more")


@dataclass(frozen=True)
class ModelOptions:
    """The embedding model: its name, its server ("": on this machine), and what it may cost."""

    embedding_model: str
    embedding_url: str
    price: float
    budget: str
    server_deadline: float

    def __post_init__(self) -> None:
        require(self.price >= 0, "PRICE is 0 or more")
        read_budget(self.budget)

    @property
    def place(self) -> str:
        """A phrase that says where the model runs."""
        return f"at {self.embedding_url}" if self.embedding_url else "on this machine"


def choose_model(options: ModelOptions) -> tuple[ModelOptions, str]:
    """The options with model, server and price filled in, and the reason for the choice of the model.

    Raises UserError when the server or the model is not available.
    """
    key, url, name = os.environ.get("OPENAI_API_KEY"), options.embedding_url, options.embedding_model
    why = "from EMBEDDING_MODEL"
    if not name and url:
        name, why = asyncio.run(served_model(url)), "its only model"
    elif not name and key:
        name, why = OPENAI_MODEL, f"since OPENAI_API_KEY is set (free, on this machine: --embedding_model {MINILM})"
    elif not name:
        name, why = MINILM, "since OPENAI_API_KEY is not set"
    if name == f"sentence-transformers/{MINILM}":
        name = MINILM
    if url or name.startswith(OPENAI_PREFIX):
        url = url or os.environ.get("OPENAI_BASE_URL") or (OPENAI_URL if key else "")
        require(bool(url), f"{name} needs OPENAI_API_KEY, or a server by --embedding_url or OPENAI_BASE_URL")
        asyncio.run(served_model(url, name))
    price = options.price or OPENAI_PRICES.get(name, 0.0)
    return ModelOptions(name, url, price, options.budget, options.server_deadline), why


def open_model(options: ModelOptions, batch_size: int) -> LocalModel | ApiModel:
    """The embedding model, to be entered by `async with`."""
    name, url = options.embedding_model, options.embedding_url
    if not url:
        return LocalModel(name, batch_size)
    bill = Bill(Prices(options.price, 0.0), read_budget(options.budget))
    return ApiModel(name, url, batch_size, options.server_deadline, bill, report=tqdm.write)


class Embedder:
    """Embeds the answers of a run; a text that several answers share is embedded once."""

    def __init__(self, run: EmbeddedRun, model: LocalModel | ApiModel, failures: Failures):
        self.run, self.model, self.failures, self.written = run, model, failures, 0

    async def embed_all(self, batch_size: int, workers: int) -> None:
        """Embeds the answers, `batch_size` at a time per worker; writes each file once its texts are embedded."""
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
            except ExceptionGroup as group:  # the first error, such as a full disk, ended the other tasks
                raise group.exceptions[0] from None

    async def embed_answers(self, keys: list[Key]) -> None:
        """Embeds answers and writes their files; adds those that cannot be embedded to `failures`."""
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
        """Embeds the texts that no file has and no other worker embeds; meanwhile, `places` has a future for each."""
        new = {digest(text): text for text in texts if digest(text) not in self.run.places}
        if not new:
            return
        futures = {mark: asyncio.get_running_loop().create_future() for mark in new}
        self.run.places.update(futures)
        found = await self.model.embed(list(new.values()))
        for future, embedding in zip(futures.values(), found, strict=True):
            future.set_result(embedding)

    async def finish(self, answer: AnswerEmbeddings) -> None:
        """Writes an answer's file if all its texts have embeddings."""
        texts = {kind: text for kind, text in answer.texts.items() if text is not None}
        found = {kind: await self.embedding_of(text) for kind, text in texts.items()}
        reasons = [each for each in found.values() if not isinstance(each, Embedding)]
        if not reasons:
            self.run.write(answer, found)
            self.written += 1
        elif isinstance(reasons[0], ItemFailed):
            self.failures.add(answer_files.converted_path(self.run.folder, *answer.key).name, str(reasons[0]))

    async def embedding_of(self, text: str) -> Any:
        """A text's embedding, or the error: from a file, or from the worker that embeds it."""
        place = self.run.places[digest(text)]
        if isinstance(place, asyncio.Future):
            return await place
        try:
            return self.run.embedding_at(*place)
        except BrokenFile as error:
            return ItemFailed(str(error))


async def embed(run: EmbeddedRun, model: LocalModel | ApiModel, options: Options, failures: Failures) -> int:
    """Embeds the remaining answers of a run and returns how many were written."""
    embedder = Embedder(run, model, failures)
    await embedder.embed_all(options.batch_size, options.concurrency if isinstance(model, ApiModel) else 1)
    return embedder.written


async def embed_and_record(
    run: EmbeddedRun, entry: RunEntry, model: LocalModel | ApiModel | None, options: Options
) -> int:
    """Embeds a run, records that in its `run.json` and prints it; returns how many answers remain.

    The model is None if no run has answers to embed.
    """
    run.remove_other_models()
    failures, written, facts = Failures(), 0, {}
    if model and run.todo:
        before = model.bill.counts() if isinstance(model, ApiModel) else {}
        written = await embed(run, model, options, failures)
        facts = {"model_from": model.origin, "longest": model.longest}
        if isinstance(model, ApiModel):
            facts["bill"] = {name: round(count - before[name], 6) for name, count in model.bill.counts().items()}
    missing = len(run.todo) - written
    entry.close(missing=missing, **facts, embedded=run.embedded, cut=run.cut, without_program=run.without_program)
    lines = [
        f"{run.folder}: {written} embedded by {run.model}, {missing} not embedded",
        *remarks_on(run, model, options),
    ]
    print("\n".join([*lines, *([failures.report()] if failures else [])]))
    return missing


async def embed_runs(
    runs: Mapping[EmbeddedRun, RunEntry], model: LocalModel | ApiModel | None, options: Options
) -> int:
    """Embeds the runs, one after another, and returns how many answers remain."""
    async with model or contextlib.nullcontext():
        return sum([await embed_and_record(run, entry, model, options) for run, entry in runs.items()])


def remarks_on(run: EmbeddedRun, model: LocalModel | ApiModel | None, options: Options) -> list[str]:
    """Sentences about the texts of a run that were cut, and answers without a program."""
    remarks = []
    if model and run.todo and run.cut:
        cut = ", ".join(f"{run.cut[kind]} {kind}" for kind in SOURCES if run.cut[kind])
        remarks.append(f"longer than the model's {model.longest:,} tokens and cut there: {cut}")
    if run.without_program and "code" in options.what:
        remarks.append(f"{run.without_program} answers have no program, so their code_embedding is null")
    return remarks


def remarks_on_server(model: ApiModel) -> list[str]:
    """Final sentences about the server and the cost."""
    bill = model.bill
    remarks = [f"the server stopped answering: {model.gone}; run again to resume"] if model.gone else []
    remarks += [model.note] if model.note else []
    return [*remarks, f"the bill: {bill.requests:,} requests, {bill.prompt_tokens:,} tokens, ${bill.dollars:.4f}"]


def describe(run: EmbeddedRun, choice: ModelOptions) -> str:
    """The number of a run's answers to embed; for a model behind a server, also an estimate of the cost."""
    done = run.answers - len(run.todo)
    lines = [f"{run.folder}: {run.answers} converted answers, {done} embedded before ({', '.join(run.what)})"]
    if choice.embedding_url:
        price = f"${run.tokens * choice.price / 1e6:.4f}" if choice.price else "price not known (--price)"
        lines.append(f"{len(run.todo)} answers to embed: about {run.tokens:,} tokens, {price}")
    return "\n".join(lines)


def scan_runs(options: Options, choice: ModelOptions) -> list[EmbeddedRun]:
    """The runs with their remaining answers. Raises UserError for a run that another model embedded."""
    name, runs = choice.embedding_model, []
    for folder in {Path(folder).resolve(): Path(folder) for folder in options.input_dirs}.values():
        run = EmbeddedRun(folder, options.what, name)
        run.scan(bool(choice.embedding_url), OPENAI_TOKENS if name.startswith(OPENAI_PREFIX) else sys.maxsize)
        print(describe(run, choice))
        if run.other_models and not options.allow_other_settings:
            raise UserError(
                f"{run.folder} was embedded with other settings (by {', '.join(run.other_models)}, not by {name}): "
                "give another folder, the same model, or --allow_other_settings"
            )
        runs.append(run)
    return runs


def main(settings: Settings) -> int:
    options = settings.pick(Options)
    choice, why = choose_model(settings.pick(ModelOptions))
    print(f"model: {choice.embedding_model} {choice.place}, {why}")
    runs = scan_runs(options, choice)
    if options.dry_run:
        print("nothing was embedded")
        return 0
    model = open_model(choice, options.batch_size) if any(run.todo for run in runs) else None
    recorded = Settings({**settings, **asdict(choice)})
    entries = {run: open_step(run.folder, Path(__file__).name, recorded, MAY_DIFFER) for run in runs}
    missing = asyncio.run(embed_runs(entries, model, options))
    print("".join(f"{line}\n" for line in (remarks_on_server(model) if isinstance(model, ApiModel) else [])), end="")
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main, globals(), earlier_flags={"INPUT_DIRS": "--input_dir"})
