"""What an answer counts as: the reasons of a verdict, and the one rule for every count of answers.

counts_as({"converted_text": "...", "correctness": True})                                      # Outcome.CORRECT
counts_as({"converted_text": "...", "correctness": False, "correctness_reason": "no code"})    # Outcome.NO_CODE
counts_as({"generated_text": "..."})                                                           # NOT_CONVERTED
counts_as({"converted_text": "...", "correctness": None})                                      # NOT_JUDGED
counts_as({"converted_text": "..."})                                                           # UNCHECKED
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

NO_CODE = "no code"
SYNTAX_ERROR = "syntax error"
WRONG_ANSWER = "wrong answer"
RUNTIME_ERROR = "runtime error"
MISSING_FUNCTION = "missing function"
TIME_LIMIT = "time limit"
MEMORY_LIMIT = "memory limit"
OUTPUT_LIMIT = "output limit"
NOT_JUDGED = "not judged"
# Every `correctness_reason`. Two are prefixes, followed by what happened: "runtime error: ValueError", "runtime error:
# SIGSEGV", "runtime error: exit status 3"; "not judged: its problem has no tests".
REASONS = (NO_CODE, SYNTAX_ERROR, WRONG_ANSWER, RUNTIME_ERROR, MISSING_FUNCTION)
REASONS += (TIME_LIMIT, MEMORY_LIMIT, OUTPUT_LIMIT, NOT_JUDGED)


class Outcome(StrEnum):
    """What an answer counts as in every count, curve and figure."""

    CORRECT = "correct"
    WRONG = "wrong"
    NO_CODE = NO_CODE  # converted, without a program: wrong
    NOT_CONVERTED = "not converted"  # step 2 could not convert it: wrong
    NOT_JUDGED = NOT_JUDGED  # step 3 could not judge it: neither right nor wrong, so not in the sample
    UNCHECKED = "not checked"  # step 3 has not checked it, so it may not be counted yet

    @property
    def is_sample(self) -> bool:
        """Whether pass@k counts the answer, as correct or as wrong."""
        return self not in (Outcome.NOT_JUDGED, Outcome.UNCHECKED)


def outcome_of(converted: bool, checked: bool, correctness: bool | None, reason: str | None) -> Outcome:
    """The rule. `checked`: whether step 3 has written a verdict, that is `correctness` and `reason`."""
    if not converted:
        return Outcome.NOT_CONVERTED
    if not checked:
        return Outcome.UNCHECKED
    if correctness is None:
        return Outcome.NOT_JUDGED
    if correctness:
        return Outcome.CORRECT
    return Outcome.NO_CODE if reason == NO_CODE else Outcome.WRONG


def counts_as(record: Mapping[str, Any]) -> Outcome:
    """What the answer in a record counts as; the record may be that of a raw or of a converted file."""
    verdict = record.get("correctness"), record.get("correctness_reason")
    return outcome_of("converted_text" in record, "correctness" in record, *verdict)


def verdict_in_full(record: Mapping[str, Any]) -> str:
    """The verdict in words: "correct", the whole reason ("runtime error: ValueError"), or the outcome."""
    outcome = counts_as(record)
    reason = record.get("correctness_reason") if outcome in (Outcome.WRONG, Outcome.NOT_JUDGED) else None
    return reason or str(outcome)


def verdict_name(record: Mapping[str, Any]) -> str:
    """The verdict in words, without details: "correct", a reason ("runtime error"), or the outcome."""
    return verdict_in_full(record).split(":")[0]
