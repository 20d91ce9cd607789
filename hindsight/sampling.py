"""What the two sampling scripts share: which samples are to be made, each with its own seed, and their loop."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from tqdm import tqdm

from hindsight import records
from hindsight.client import Failures, ServerGone, require_model, run_all
from hindsight.problems import Problem, describe, load_problems
from hindsight.runs import open_run
from hindsight.settings import Settings, UserError


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


def sample_seed(seed: int, question_id: int, sample_index: int) -> int:
    """A sample's own seed, in [0, 2^31): the same whatever else the run samples, and in whichever order."""
    digest = hashlib.sha256(f"{seed} {question_id} {sample_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def selected_problems(settings: Settings) -> list[Problem]:
    """The problems that `PROBLEMS`, `SPLIT`, `DIFFICULTY`, `BEGIN_IDX` and `END_IDX` name, without their tests."""
    problems = load_problems(settings.problems, settings.split, settings.difficulty, with_tests=False)
    chosen = problems[settings.begin_idx : settings.end_idx or None]
    if not chosen:
        span = f"{settings.begin_idx} to {settings.end_idx or len(problems)}"
        raise UserError(f"no problem is left from {span} of {len(problems)}")
    return chosen


def missing_samples(folder: Path, problems: list[Problem], settings: Settings) -> tuple[list[Sample], list[str]]:
    """The samples that have no file in the folder yet, and the files there that are broken.

    A broken file is left as it is, for its owner to look at or delete.
    """
    there = records.list_files(folder, "sample") if folder.is_dir() else {}
    broken = [str(path) for path in there.values() if not records.is_whole(path)]
    samples = [
        Sample(problem, index, sample_seed(settings.seed, problem["question_id"], index))
        for problem in problems
        for index in range(settings.num_samples)
        if (problem["question_id"], index) not in there
    ]
    return samples, broken


@dataclass(frozen=True)
class Outcome:
    """How a sampling run ended: samples written and not written, and what to tell the user about the latter."""

    written: int
    missing: int
    report: str


def sample_run(
    script: str,
    folder: Path,
    problems: list[Problem],
    answer: Callable[[Sample], Awaitable[dict[str, Any]]],
    servers: dict[str, openai.AsyncOpenAI],
    settings: Settings,
    same: tuple[str, ...],
) -> Outcome:
    """Makes every sample that has no file in the folder yet, and writes each as its answer comes.

    `answer` turns a sample into its record; `servers` holds the client of each model it asks; `same` names the
    settings that another run in this folder must share. Raises UserError before anything is written when a server
    or a model is not there or the folder was made with other settings.
    """
    samples, broken = missing_samples(folder, problems, settings)
    with asyncio.Runner() as runner:
        if samples:
            runner.run(_require_models(servers, settings.wait_for_server))
        run = open_run(folder, script, settings, same, models=list(servers), problems=describe(problems))
        report = [f"{path} is not whole JSON: delete it to have it sampled again" for path in broken]
        missing = len(broken)
        if samples:
            try:
                failures = runner.run(_write_samples(folder, samples, answer, settings.concurrency))
                missing += len(failures)
                report += [failures.report()] if failures else []
            except ServerGone as gone:
                missing += sum(not _path(folder, sample).exists() for sample in samples)
                report.append(f"the server stopped answering: {gone}; run again to go on")
    written = sum(_path(folder, sample).exists() for sample in samples)
    run.close(missing=missing)
    return Outcome(written, missing, "\n".join(report))


async def _require_models(servers: dict[str, openai.AsyncOpenAI], wait: float) -> None:
    for model, client in servers.items():
        await require_model(client, model, wait)


async def _write_samples(
    folder: Path, samples: list[Sample], answer: Callable[[Sample], Awaitable[dict[str, Any]]], concurrency: int
) -> Failures:
    tokens = 0
    with tqdm(total=len(samples), unit="sample", smoothing=0.05) as bar:

        async def work(sample: Sample) -> None:
            nonlocal tokens
            record = await answer(sample)
            records.write_json(_path(folder, sample), record)
            tokens += record["usage"].get("completion_tokens", 0)
            bar.set_postfix_str(f"{tokens / max(bar.format_dict['elapsed'], 1e-9):.0f} tokens/s", refresh=False)

        return await run_all(samples, work, lambda sample: sample.name, concurrency, bar)


def _path(folder: Path, sample: Sample) -> Path:
    return records.sample_path(folder, sample.problem["question_id"], sample.sample_index)
