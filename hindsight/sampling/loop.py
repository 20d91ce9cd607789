"""What the two sampling scripts share: which samples are to be made, each with its own seed, and their loop."""

import asyncio
import gc
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hindsight.errors import UserError, require
from hindsight.files import answer_files, records
from hindsight.files.runs import open_run
from hindsight.files.sample_locks import SampleLocks
from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.selection import Problems, describe, select_problems
from hindsight.servers import checks
from hindsight.servers.checks import PromptedModel
from hindsight.servers.client import ModelServer
from hindsight.servers.job_queue import Failures, run_all
from hindsight.settings import Settings

THREADS = 4  # that write files where the disk is slow
SLOW_WRITE = 0.005  # seconds; a disk that takes longer for more than SLOW_WRITES more files than it does not is slow
SLOW_WRITES = 20
ESTIMATE_SECONDS = 60  # after which it is said how long the run will take
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """One answer to be made."""

    problem: Problem
    sample_index: int
    seed: int

    @property
    def name(self) -> str:
        return f"question {self.problem['question_id']} sample {self.sample_index}"

    def record(self, **answer: Any) -> dict[str, Any]:
        """The answer's file; `answer` has `prompt`, `generated_text`, `generation_config` and so on."""
        metadata = {key: value for key, value in self.problem.items() if key != "question_id"}
        ids = {"question_id": self.problem["question_id"], "sample_index": self.sample_index}
        return {**answer, "metadata": metadata, **ids}


@dataclass(frozen=True)
class Method:
    """How a script makes an answer.

    asked: the models; routes: the servers of one answer, as many tuples as answers can be spread over;
    answer: a sample's record, from a route's servers; max_tokens: of one answer; prepare: what else is to be found
    out before the first answer, and said.
    """

    asked: Sequence[PromptedModel]
    routes: list[tuple[ModelServer, ...]]
    answer: Callable[..., Awaitable[dict[str, Any]]]
    max_tokens: int
    prepare: Callable[[Problem], Awaitable[list[str]]] | None = None


def sample_seed(seed: int, question_id: int, sample_index: int) -> int:
    """A sample's own seed, in [0, 2^31): the same whatever else the run samples, and in whichever order."""
    digest = hashlib.sha256(f"{seed} {question_id} {sample_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def selected_problems(settings: Settings) -> Problems:
    """The problems that `PROBLEMS`, `SPLIT`, `DIFFICULTY`, `BEGIN_IDX` and `END_IDX` name, of all shards."""
    problems = select_problems(settings.problems, settings.split, settings.difficulty)
    chosen = problems[settings.begin_idx : settings.end_idx or None]
    if not chosen:
        span = f"{settings.begin_idx} to {settings.end_idx or len(problems)}"
        raise UserError(f"no problem is left from {span} of {len(problems)}")
    return chosen


@dataclass
class Todo:
    """The samples that have no file yet. `with_others`: those that another process was making when it was asked."""

    folder: Path
    problems: Problems
    settings: Settings
    there: dict[int, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    with_others: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.folder.is_dir():
            self.there, self.broken = (
                answer_files.existing_samples(self.folder, "sample"),
                answer_files.broken_samples(self.folder),
            )

    def __len__(self) -> int:
        whole = (1 << self.settings.num_samples) - 1
        return sum((whole & ~self.there.get(question, 0)).bit_count() for question in self.problems.question_ids)

    def take(self, locks: SampleLocks) -> Iterator[Sample]:
        """The samples one by one, each claimed when it is asked for, problem by problem.

        Samples that another process has are come back to at the end, as that one may have died.
        """
        for number, question in enumerate(self.problems.question_ids):
            there = self.there.get(question, 0)
            missing = [index for index in range(self.settings.num_samples) if not there >> index & 1]
            problem = self.problems[number] if missing else None
            for index in missing:
                if self._lock(locks, question, index):
                    yield self._sample(problem, index)
                else:
                    self.with_others.append((number, index))
        others, self.with_others = self.with_others, []
        for number, index in others:
            if self._lock(locks, self.problems.question_ids[number], index):
                yield self._sample(self.problems[number], index)
            else:
                self.with_others.append((number, index))

    def look_again(self) -> int:
        """How many samples have no file now, whoever made them."""
        self.there = answer_files.existing_samples(self.folder, "sample")
        return len(self)

    def _lock(self, locks: SampleLocks, question_id: int, index: int) -> bool:
        """Whether this process is to make the sample: nobody else is, and nobody has since this one began."""
        if not locks.acquire(question_id, index):
            return False
        if not answer_files.sample_path(self.folder, question_id, index).exists():
            return True
        locks.release(question_id, index)
        return False

    def _sample(self, problem: Problem, index: int) -> Sample:
        return Sample(problem, index, sample_seed(self.settings.seed, problem["question_id"], index))


class Progress:
    """The live line of a run: done, failed, tokens a second, mean length, share cut off by length."""

    def __init__(self, bar: tqdm, failures: Failures, at_once: int):
        self.bar, self.failures, self.at_once = bar, failures, at_once
        self.written = self.tokens = self.cut = 0
        self._begun, self._estimated = time.monotonic(), False

    def counts(self) -> dict[str, Any]:
        """What `run.json` holds of a run's work; the seconds are those from its first request to its last answer."""
        seconds = round(time.monotonic() - self._begun, 1)
        return {"written": self.written, "completion_tokens": self.tokens, "cut_off": self.cut, "seconds": seconds}

    def add(self, record: dict[str, Any]) -> None:
        """Counts an answer that is written."""
        self.written += 1
        self.tokens += record["usage"].get("completion_tokens", 0)
        self.cut += record["finish_reason"] == "length"

    def step(self, _: Sample) -> None:
        """A sample is done or has failed."""
        seconds = time.monotonic() - self._begun
        failed, written = len(self.failures), max(self.written, 1)
        self.bar.set_postfix_str(
            f"{failed} failed, {self.tokens / max(seconds, 1e-9):,.0f} tokens/s, "
            f"{self.tokens / written:.0f} a sample, {self.cut / written:.0%} cut off",
            refresh=False,
        )
        self.bar.update()
        if not self._estimated and seconds > ESTIMATE_SECONDS and self.bar.n >= min(self.at_once, self.bar.total):
            self._estimated = True
            left = (self.bar.total - self.bar.n) * seconds / self.bar.n
            self.bar.write(f"{self.bar.n} samples in {seconds:.0f} s: about {duration(left)} to go")


class RecordWriter:
    """Writes records in the event loop, or in threads where the disk is slow enough to hold up the requests.

    Handing a record to a thread costs more than writing it to a quick disk: at each step of its work the thread has to
    get Python's lock back from a loop that is busy.
    """

    def __init__(self, threads: ThreadPoolExecutor):
        self._threads, self._slow = threads, 0

    async def write(self, path: Path, record: dict[str, Any]) -> None:
        """Raises OSError, leaving no half file."""
        if self._slow > SLOW_WRITES:
            await asyncio.get_running_loop().run_in_executor(self._threads, records.write_json, path, record)
            return
        begun = time.monotonic()
        records.write_json(path, record)
        self._slow = max(0, self._slow + (1 if time.monotonic() - begun > SLOW_WRITE else -1))


def run(
    script: str, folder: Path, make: Callable[[], Method], settings: Settings, may_differ: tuple[str, ...], say: Say
) -> int:
    """Makes every sample that has no file in the folder yet, writes each as its answer comes; the exit status.

    `make` gives the method inside of the event loop; `may_differ` names the settings that may change between
    two calls that write into this folder. Raises UserError before anything is written when a server or a model is not there or the folder was made
    with other settings.
    """
    for name in ("num_samples", "concurrency", "shards"):
        require(settings[name] > 0, f"{name.upper()} is at least 1, not {settings[name]}")
    shard, shards = settings.shard, settings.shards
    require(0 <= shard < shards, f"SHARD counts from 0, so with SHARDS = {shards} it is less, not {shard}")
    require(settings.logprobs in (0, 1), f"LOGPROBS is 0 or 1, not {settings.logprobs}")
    problems = selected_problems(settings)
    todo = Todo(folder, problems[shard::shards], settings)
    return asyncio.run(_run(script, folder, problems, todo, make, settings, may_differ, say))


async def _run(
    script: str,
    folder: Path,
    problems: Problems,
    todo: Todo,
    make: Callable[[], Method],
    settings: Settings,
    may_differ: tuple[str, ...],
    say: Say,
) -> int:
    method, failures, checked = make(), Failures(), []
    total = len(todo)
    all_of_it = len(todo.problems) * settings.num_samples
    say(f"{folder}: {len(todo.problems)} problems, {settings.num_samples} samples each, {all_of_it - total} are there")
    async with AsyncExitStack() as servers:
        for server in {id(server): server for each in method.asked for server in each.servers}.values():
            await servers.enter_async_context(server)
        if settings.dry_run or total:
            checked = await _check(method, todo.problems, total, settings, say)
        if settings.dry_run:
            await _show_prompts(method.asked, todo.problems, say)
            return 0
        models = [each.model for each in method.asked]
        entry = open_run(
            folder, script, settings, may_differ, models=models, problems=describe(problems), checked=checked
        )
        counts = await _write_samples(folder, todo, total, method, settings, failures) if total else {"written": 0}
    missing = (todo.look_again() if total else 0) + len(todo.broken)
    entry.close(missing=missing, failed=failures.counts(), **counts)
    say(f"{counts['written']} samples written, {missing} missing")
    for sentence in _reasons(failures, todo):
        say(sentence)
    return 1 if missing else 0


def _reasons(failures: Failures, todo: Todo) -> Iterator[str]:
    """Why samples are missing, a sentence each."""
    if failures:
        yield failures.report()
    if failures.gone:
        yield f"{failures.gone}; run again to go on"
    if todo.with_others:
        yield f"{len(todo.with_others)} samples were left to another process that works in this folder"
    for path in todo.broken:
        yield f"{path} is not whole JSON: delete it to have it sampled again"


async def _check(method: Method, problems: Problems, total: int, settings: Settings, say: Say) -> list[str]:
    """Asks the servers what has to be known before a run, and says it."""
    sentences, context = await checks.check_servers(method.asked, settings.wait_for_server)
    means = []
    for asked in method.asked:
        sentence, mean = await checks.measure_prompts(asked, problems, method.max_tokens, context)
        sentences += [sentence, await checks.try_seeds(asked, problems[0])]
        means.append(mean)
    if method.prepare:
        sentences += await method.prepare(problems[0])
    for sentence in sentences:
        say(sentence)
    new, of_prompts = total * method.max_tokens, round(total * sum(means) / len(means))
    say(f"{total:,} samples to make: at most {new:,} new tokens, to about {of_prompts:,} of prompts")
    return sentences


async def _show_prompts(asked: Sequence[PromptedModel], problems: Problems, say: Say) -> None:
    """One whole prompt for each model and kind of task."""
    kinds: dict[bool, Problem] = {}
    for problem in problems:
        kinds.setdefault(problem["fn_name"] is None, problem)
        if len(kinds) == 2:
            break
    for each in asked:
        for is_stdin, problem in kinds.items():
            kind = "standard input" if is_stdin else "function"
            say(f"\n----- {each.role} ({each.model}), {kind}, question {problem['question_id']}\n")
            say(await checks.show_prompt(each, problem))


async def _write_samples(
    folder: Path, todo: Todo, total: int, method: Method, settings: Settings, failures: Failures
) -> dict[str, Any]:
    """The loop. The samples written, their tokens, and the seconds it took."""
    at_once = settings.concurrency * len(method.routes)
    gc.collect()
    gc.freeze()  # what is there by now stays: it need not be looked through again and again
    with (
        SampleLocks(folder) as locks,
        ThreadPoolExecutor(THREADS) as threads,
        tqdm(total=total, unit="sample", smoothing=0.05) as bar,
    ):
        progress, writer = Progress(bar, failures, at_once), RecordWriter(threads)

        async def work(sample: Sample, *servers: ModelServer) -> None:
            record = await method.answer(sample, *servers)
            path = answer_files.sample_path(folder, sample.problem["question_id"], sample.sample_index)
            await writer.write(path, record)
            progress.add(record)

        def end(sample: Sample) -> None:
            locks.release(sample.problem["question_id"], sample.sample_index)
            progress.step(sample)

        def name(sample: Sample) -> str:
            return sample.name

        await run_all(
            todo.take(locks), work, name, method.routes, settings.concurrency, failures, on_end=end, say=bar.write
        )
        return progress.counts()


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 20 min, 2 d 5 h."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
