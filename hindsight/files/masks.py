"""The mask: problems with faulty tests or statements, as found by `SkyThought/audit_problems.py`.

    {"script": "audit_problems.py", "settings": {...},
     "origin": {"dataset": "lab", "split": "test", "digest": "sha256:..."},
     "counts": {"solutions agree": 77, "solutions disagree": 2, "no solution passes": 1},
     "problems": {"3": {"class": "solutions disagree", "tests": 8, "verdicts": {"correct": 3, "wrong answer": 5}, ...}}}

Steps 3, 4 and 5 leave out the problems whose class is in `MASKED`. Only `class` and `origin` are read, so a mask can be
edited or written by hand.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hindsight.errors import BrokenFile, UserError, require
from hindsight.files.records import read_record
from hindsight.files.runs import read_run
from hindsight.problem_sets.local_files import file_digest
from hindsight.problem_sets.sources import local_file

AGREE = "solutions agree"  # the problem is sound and kept
NO_PASS = "no solution passes"  # the tests or the statement must be wrong
DISAGREE = "solutions disagree"  # several answers are right, so the problem needs a special judge
SEVERAL = "several answers"  # by the list of TACO's authors, and the problem has no special judge
MALFORMED = "tests malformed"  # or there are no tests
NO_SOLUTIONS = "no solutions"  # the problem cannot be audited and is kept
MASKED = (NO_PASS, DISAGREE, SEVERAL, MALFORMED)
CLASSES = (AGREE, *MASKED, NO_SOLUTIONS)

Files = dict[tuple[int, int], Path]


@dataclass(frozen=True)
class Mask:
    """The masked problems: class by question id, and the problem set's origin. Made by `read_mask`."""

    path: str
    reasons: dict[int, str]
    origin: dict[str, Any]

    def keep(self, files: Files, folder: Path, problems: str = "") -> Files:
        """The answer files of a run folder, except those of masked problems. Raises what `require_same` raises."""
        self.require_same(folder, problems)
        return {key: path for key, path in files.items() if key[0] not in self.reasons}

    def describe(self, files: Iterable[tuple[int, int]]) -> str:
        """How many of a run's problems and answers the mask leaves out, and why; `files`: (question, sample)."""
        masked = [question for question, _ in files if question in self.reasons]
        reasons = [self.reasons[question] for question in set(masked)]
        why = ", ".join(f"{reason}: {reasons.count(reason)}" for reason in MASKED if reason in reasons)
        return f"the mask leaves out {len(set(masked))} problems ({why or 'none'}) with {len(masked)} answers"

    def require_same(self, folder: Path, problems: str = "") -> None:
        """Raises UserError if the mask and the folder record different problem sets.

        `problems`: the problem set with the tests, if it differs from the one recorded in the answers.
        """
        if not self.reasons:
            return
        origin = _origin(folder, problems)
        for key in ("digest", "revision"):
            ours, theirs = self.origin.get(key), origin.get(key)
            if ours and theirs and ours != theirs:
                raise UserError(
                    f"{self.path} is a mask of another problem set than that of {folder}: {key} {ours} of "
                    f"{self.origin.get('dataset')}, not {theirs} of {origin.get('dataset')}; make one of that set"
                )
        splits = [part.get("split") or "train" for part in (self.origin, origin)]
        if self.origin.get("revision") and origin.get("revision") and splits[0] != splits[1]:
            raise UserError(f"{self.path} is a mask of the split {splits[0]}, {folder} is of {splits[1]}")


def read_mask(path: str) -> Mask:
    """The mask in a file; for the path "" a mask that leaves out nothing.

    Raises UserError when the file is missing or not a mask.
    """
    if not path:
        return Mask("", {}, {})
    missing = f"there is no mask {path}; SkyThought/audit_problems.py writes it at the end of its run"
    require(Path(path).is_file(), missing)
    try:
        content = read_record(Path(path), ("origin", "problems"))
        classes = {int(question): entry["class"] for question, entry in content["problems"].items()}
    except (BrokenFile, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a mask of audit_problems.py ({error})") from None
    unknown = sorted({str(name) for name in classes.values()} - set(CLASSES))
    require(not unknown, f"{path} has problems of class {', '.join(unknown)}; classes are {', '.join(CLASSES)}")
    masked = {question: name for question, name in classes.items() if name in MASKED}
    return Mask(path, masked, content["origin"] or {})


def _origin(folder: Path, problems: str) -> dict[str, Any]:
    """The problem set whose tests judge a run folder's answers, if it is recorded."""
    run = read_run(folder)
    judged = run["steps"].get("check_converted_samples.py") or {}
    problems = problems or judged.get("settings", {}).get("problems")
    if problems:
        path = local_file(problems)
        return {"dataset": problems, "digest": file_digest(path)} if path else {"dataset": problems}
    return run.get("problems") or {}
