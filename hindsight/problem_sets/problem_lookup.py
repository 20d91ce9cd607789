"""Finds the problem of an answer, with its tests."""

from typing import Any

from hindsight.errors import UserError
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.problems import Problem


class ProblemLookup:
    """Finds the tests of an answer: in its own `metadata`, or in the problem set that its `origin` names.

    `source`, if given, names the problem set to use instead of the one that the answers name.
    """

    def __init__(self, source: str = ""):
        self.source = source
        self._sets: dict[tuple[str, str, str], ProblemSet | UserError] = {}  # or why it cannot be read

    def problem(self, record: dict[str, Any]) -> Problem:
        """The problem of an answer with its `input_output`.

        Raises UserError when its problem set is missing, has another version, or lacks the problem.
        """
        metadata = record["metadata"]
        if metadata.get("input_output") is not None and not self.source:
            return metadata
        origin = metadata.get("origin")
        question = f"question {record['question_id']}"
        origin = origin if isinstance(origin, dict) else {}
        if not self.source and not _is_whole(origin):
            raise UserError(f"{question} names no problem set and has no tests inside; give one by --problems")
        rows = self._set(self.source or origin["dataset"], origin.get("split", ""), origin)
        if self.source:
            number = rows.row_of_question.get(record["question_id"])
            if number is None:
                raise UserError(f"{self.source} has no {question}")
        else:
            number = origin["row"]
            if "digest" in origin and rows.origin.get("digest") != origin["digest"]:
                raise UserError(
                    f"{origin['dataset']} is not the file that {question} came from (its digest differs); "
                    "bring that one back, or name the file to use by --problems"
                )
        if not 0 <= number < len(rows):
            raise UserError(f"{origin['dataset']} has no row {number}, which {question} names")
        problem = rows.row(number)
        ids = [str(each["task_id"]) for each in (metadata, problem) if each.get("task_id") is not None]
        if len(set(ids)) > 1:
            raise UserError(f"{question} of {rows.source} is {ids[1]}, and the answer is to {ids[0]}")
        return problem

    def _set(self, source: str, split: str, origin: dict[str, Any]) -> ProblemSet:
        key = (source, split, origin.get("revision", ""))
        if key not in self._sets:
            try:
                self._sets[key] = ProblemSet(*key)
            except UserError as error:
                self._sets[key] = error
        found = self._sets[key]
        if isinstance(found, UserError):
            raise found
        return found


def _is_whole(origin: dict[str, Any]) -> bool:
    """Whether it names a row of a problem set, with values of the right types."""
    texts = (origin.get("dataset"), origin.get("split", ""), origin.get("revision", ""))
    return all(isinstance(text, str) for text in texts) and type(origin.get("row")) is int
