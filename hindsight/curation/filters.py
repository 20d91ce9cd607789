"""The filters of one answer: whether it may become a row, or which filter leaves it out.

An answer is counted by the first filter that leaves it out. `FILTERS` lists all of them in order; those that compare
answers with one another, and the mask, are in `candidates`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash

from hindsight.curation.contamination import BenchmarkTexts, read_benchmarks
from hindsight.curation.near_duplicates import signature
from hindsight.curation.ngrams import LONGEST
from hindsight.curation.sent_prompts import has_other_prompts, refuse_other_prompts
from hindsight.curation.token_counts import TokenCounter
from hindsight.curation.training_rows import BEGIN_THINK, END_THINK, RowOptions, TrainingRow, make_row
from hindsight.errors import BrokenFile, require
from hindsight.files.verdicts import Outcome, counts_as
from hindsight.problem_sets.evalplus import statement
from hindsight.problem_sets.problems import problem_hash
from hindsight.text.program_choice import find_program, target_of
from hindsight.text.prompt_styles import was_cut_off
from hindsight.text.uniform_format import split_uniform

BROKEN, MASKED, NOT_JUDGED, INCORRECT = "file is broken", "problem is masked", "not judged", "incorrect"
NOT_UNIFORM, CUT_OFF, EMPTY_THOUGHT = "not in the uniform format", "cut off by length", "thought is empty"
OWN_THINK = "its text mentions <think> or </think>"
HAS_THOUGHT, NO_PLACE = "has a thought, but PROMPT_STYLE allows none", "its program does not continue the prompt"
CONTAMINATED, TOO_LONG = "problem resembles a test problem", "longer than CUTOFF_LEN"
EXACT, NEAR = "exact duplicate", "near duplicate"
FILTERS = (
    BROKEN, MASKED, NOT_JUDGED, INCORRECT, NOT_UNIFORM, OWN_THINK, HAS_THOUGHT, NO_PLACE, CUT_OFF, EMPTY_THOUGHT,
    CONTAMINATED, TOO_LONG, EXACT, NEAR,
)  # fmt: skip


@dataclass(frozen=True)
class FilterOptions:
    """Which filters are on; the fields are explained in `convert_to_data.py`. Raises UserError for a bad value."""

    correct_only: bool
    drop_cut_off: bool
    drop_empty_thought: bool
    cutoff_len: int
    tokenizer: str
    chat_template: str
    exact_duplicates: bool
    near_duplicates: float
    contamination: float
    ngram: int
    test_problems: str
    test_split: str
    benchmarks: Iterable[str]
    other_prompts: bool

    def __post_init__(self) -> None:
        for name, value in (("NEAR_DUPLICATES", self.near_duplicates), ("CONTAMINATION", self.contamination)):
            require(0 <= value <= 1, f"{name} is a share from 0 to 1, not {value}")
        require(0 < self.ngram <= LONGEST, f"NGRAM is from 1 to {LONGEST} words, not {self.ngram}")
        require(self.cutoff_len >= 0, f"CUTOFF_LEN is at least 0, not {self.cutoff_len}")


class Passed(NamedTuple):
    """What is kept of an answer that passes every filter; its MinHash signature if near duplicates are left out."""

    problem: int  # a hash of the problem's text: a problem of two sources is one problem
    text: int  # a hash of the answer's text without its blank space
    length: int  # of the row in tokens, or of the answer in characters if CUTOFF_LEN is 0
    other_prompts: bool  # whether the answer was sampled with prompts other than those of its row
    signature: np.ndarray | None


class LeftOut(NamedTuple):
    """The filter that leaves an answer out; `similar`: the share of n-grams in common with which test problem."""

    reason: str
    similar: tuple[float, str] = (0.0, "")


class AnswerFilter:
    """Filters one answer after another. Reads the tokenizer and the test problems when it is made."""

    def __init__(self, options: FilterOptions, rows: RowOptions):
        self.options, self.rows, self.prompts = options, rows, rows.prompts()
        self.count_tokens = None
        if options.cutoff_len:
            self.count_tokens = TokenCounter(options.tokenizer, options.chat_template, rows.base)
        self.benchmarks = None
        if options.contamination and (options.test_problems or options.benchmarks):
            texts = read_benchmarks(options.test_problems, options.test_split, options.benchmarks)
            self.benchmarks = BenchmarkTexts(texts, options.ngram)
            self._nearest = lru_cache(1)(self.benchmarks.nearest)  # answers come problem by problem

    def note(self) -> str:
        """A sentence if what trains on the rows by the chat template would not see the thoughts, else ""."""
        if not (self.rows.think_tags and self.count_tokens and self.count_tokens.drops_thought()):
            return ""
        return (
            "the chat template drops thoughts: LLaMA-Factory's own templates train on them, TRL with this one does not"
        )

    def __call__(self, record: Mapping[str, Any], path: Path) -> Passed | LeftOut:
        """Raises BrokenFile for an answer that cannot become a row, UserError as `refuse_other_prompts` does."""
        if self.options.correct_only and (reason := _verdict_filter(record, path)):
            return LeftOut(reason)
        if (record.get("prompt_style") or "") != self.rows.prompt_style and not self.options.other_prompts:
            refuse_other_prompts(path.parent, self.rows)
        try:
            sections = split_uniform(record["converted_text"])
            row = make_row(record, self.prompts, self.rows.base, self.rows.think_tags)
            is_unicode = row.is_unicode()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BrokenFile(f"{path} has no text or question where one is expected ({error!r})") from None
        if not is_unicode:
            raise BrokenFile(f"{path} contains half of a surrogate pair, which no data file can")
        if reason := self._form_filter(record, sections, row):
            return LeftOut(reason)
        if self.benchmarks:
            similar = self._nearest(statement(record["metadata"]))
            if similar[0] >= self.options.contamination:
                return LeftOut(CONTAMINATED, similar)
        answer = row.answer if self.rows.prompt_style else record["converted_text"]
        length = self.count_tokens(row) if self.count_tokens else len(answer)
        if self.count_tokens and length > self.options.cutoff_len:
            return LeftOut(TOO_LONG)
        return self._pass(record, path, length)

    def _form_filter(self, record: Mapping[str, Any], sections: tuple[str, str] | None, row: TrainingRow) -> str:
        """The filter that leaves an answer out by its form and its end; "" if none does."""
        styled = bool(self.rows.prompt_style)
        if sections is None:
            return NOT_UNIFORM
        if self.rows.think_tags and any(tag in record["converted_text"] for tag in (BEGIN_THINK, END_THINK)):
            return OWN_THINK  # the row could be read in two ways
        if styled and sections[0]:
            return HAS_THOUGHT
        if styled and not row.answer:
            return NO_PLACE
        if self.options.drop_cut_off and was_cut_off(record):
            return CUT_OFF
        return EMPTY_THOUGHT if self.options.drop_empty_thought and not styled and not sections[0] else ""

    def _pass(self, record: Mapping[str, Any], path: Path, length: int) -> Passed:
        answer, problem = record["converted_text"], record["metadata"]
        other_prompts = has_other_prompts(record, self.prompts)
        if other_prompts and not self.options.other_prompts:
            refuse_other_prompts(path.parent, self.rows)
        if self.rows.prompt_style:  # the text that all answers share would make short programs look alike
            answer = find_program(answer, target_of(problem)) or ""
        text = xxhash.xxh3_64_intdigest(" ".join(answer.split()).encode())
        minhash = signature(answer) if self.options.near_duplicates else None
        return Passed(problem_hash(problem), text, length, other_prompts, minhash)


def _verdict_filter(record: Mapping[str, Any], path: Path) -> str:
    """The filter that leaves out an answer that is not known to be correct; "" for a correct one."""
    verdict = record.get("correctness")
    if not isinstance(verdict, bool | None):
        raise BrokenFile(f"{path} has {verdict!r:.60} as its correctness, expected true, false or null")
    outcome = counts_as(record)
    if outcome is Outcome.UNCHECKED:
        raise BrokenFile(f"{path} lacks correctness; run check_converted_samples.py first")
    if outcome is Outcome.NOT_JUDGED:
        return NOT_JUDGED
    return "" if outcome is Outcome.CORRECT else INCORRECT
