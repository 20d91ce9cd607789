"""The samples of a run: the problems of this process, and the samples without a file, each with its own seed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.files.answer_files import MOST_SAMPLES, broken_samples, existing_samples, sample_path
from hindsight.files.sample_locks import SampleLocks
from hindsight.problem_sets.problems import Problem
from hindsight.problem_sets.selection import Problems, describe, select_problems


@dataclass(frozen=True)
class ProblemChoice:
    """The problems of a run, and the shard that this process samples: the scripts' settings of the same names."""

    problems: str
    split: str
    difficulty: str
    begin_idx: int
    end_idx: int
    shard: int
    shards: int
    first_day: str = ""  # of the problems' dates
    last_day: str = ""
    locks: bool = True

    def __post_init__(self) -> None:
        require(self.shards > 0, f"SHARDS is at least 1, not {self.shards}")
        in_range = 0 <= self.shard < self.shards
        require(in_range, f"SHARD is at least 0 and less than SHARDS, {self.shards}, not {self.shard}")
        for name in ("begin_idx", "end_idx"):
            require(getattr(self, name) >= 0, f"{name.upper()} is at least 0, not {getattr(self, name)}")
        require(self.locks or self.shards > 1, "without LOCKS shards must divide the work: give --shards and --shard")

    def select(self) -> Problems:
        """The problems of all shards that have tests. Raises UserError if none is left."""
        days = self.first_day, self.last_day
        problems = select_problems(self.problems, self.split, self.difficulty, *days).tested()
        chosen = problems[self.begin_idx : self.end_idx or None]
        span = f"BEGIN_IDX {self.begin_idx} and END_IDX {self.end_idx}"
        require(bool(chosen), f"{span} leave none of {len(problems)} problems")
        return chosen


@dataclass(frozen=True)
class Sample:
    """One answer to make."""

    problem: Problem
    sample_index: int
    seed: int

    @property
    def name(self) -> str:
        return f"question {self.problem['question_id']} sample {self.sample_index}"

    def path(self, folder: Path) -> Path:
        """The answer's file in a run folder."""
        return sample_path(folder, self.problem["question_id"], self.sample_index)

    def record(self, **answer: Any) -> dict[str, Any]:
        """The content of the answer's file; `answer` has `prompt`, `generated_text`, `generation_config` and so on."""
        metadata = {key: value for key, value in self.problem.items() if key != "question_id"}
        ids = {"question_id": self.problem["question_id"], "sample_index": self.sample_index}
        return {**answer, "metadata": metadata, **ids}


def sample_seed(seed: int, question_id: int, sample_index: int) -> int:
    """A sample's seed, in [0, 2^31): it does not depend on the run's other samples or on their order."""
    digest = hashlib.sha256(f"{seed} {question_id} {sample_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


@dataclass(frozen=True)
class SampleCount:
    """How many samples a run makes per problem, and the run's seed: the scripts' settings of the same names."""

    num_samples: int
    seed: int

    def __post_init__(self) -> None:
        in_range = 0 < self.num_samples <= MOST_SAMPLES
        require(in_range, f"NUM_SAMPLES is at least 1 and at most {MOST_SAMPLES}, not {self.num_samples}")


class MissingSamples:
    """This shard's samples that have no file in the run folder. Memory holds a few bytes per problem, not per sample.

    `chosen` describes the problems of all shards; `broken` lists incomplete files; `with_others` lists the samples, as
    (number of the problem, sample index), that another process was making when this one reached them.
    """

    def __init__(self, folder: Path, choice: ProblemChoice, wanted: SampleCount):
        problems = choice.select()
        self.folder, self.wanted, self.chosen = folder, wanted, describe(problems)
        self._choice = choice
        self.problems: Problems = problems[choice.shard :: choice.shards]
        self._existing: dict[int, int] = {}
        self.broken: list[str] = []
        self.with_others: list[tuple[int, int]] = []
        if folder.is_dir():
            self._existing, self.broken = existing_samples(folder, "sample"), broken_samples(folder)

    def __len__(self) -> int:
        whole = (1 << self.wanted.num_samples) - 1
        return sum((whole & ~self._existing.get(question, 0)).bit_count() for question in self.problems.question_ids)

    def __str__(self) -> str:
        problems, samples = len(self.problems), self.wanted.num_samples
        left_out = (
            f"; {len(self.problems.untested)} more have no tests and are left out" if self.problems.untested else ""
        )
        exist = f"{problems * samples - len(self)} exist{left_out}"
        shard = f"shard {self._choice.shard} of {self._choice.shards}"
        alone = "" if self._choice.locks else f"; without locks no other process may sample {shard}"
        return f"{self.folder}: {problems} problems, {samples} samples each, {exist}{alone}"

    def estimate(self, max_tokens: int, prompt_tokens: float) -> str:
        """A sentence on the size of the run; `prompt_tokens`: the mean length of a prompt."""
        new, prompts = len(self) * max_tokens, round(len(self) * prompt_tokens)
        return f"{len(self):,} samples to make: at most {new:,} new tokens, from about {prompts:,} prompt tokens"

    def require_whole_files(self) -> None:
        """Raises UserError if no sample is missing but some files are incomplete, which sampling does not replace."""
        if self.broken and not self:
            raise UserError(f"no file is missing, but these are not valid JSON: {', '.join(self.broken)}: delete them")

    def locks(self) -> SampleLocks:
        """Locks against other processes in the folder, by `with`; without LOCKS they do nothing."""
        return SampleLocks(self.folder, self._choice.locks)

    def take(self, locks: SampleLocks) -> Iterator[Sample]:
        """The samples one by one, problem by problem, each locked when it is taken.

        A sample that another process holds is tried once more at the end, because that process may have died.
        """
        for number, question in enumerate(self.problems.question_ids):
            existing = self._existing.get(question, 0)
            missing = [index for index in range(self.wanted.num_samples) if not existing >> index & 1]
            problem = self.problems[number] if missing else {}
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

    def count_again(self) -> int:
        """The number of samples that have no file now; other processes may have written some."""
        self._existing = existing_samples(self.folder, "sample")
        return len(self)

    def _lock(self, locks: SampleLocks, question_id: int, index: int) -> bool:
        """Locks a sample; False if another process holds it, or has written it since this one started."""
        if not locks.acquire(question_id, index):
            return False
        if not sample_path(self.folder, question_id, index).exists():
            return True
        locks.release(question_id, index)
        return False

    def _sample(self, problem: Problem, index: int) -> Sample:
        return Sample(problem, index, sample_seed(self.wanted.seed, problem["question_id"], index))
