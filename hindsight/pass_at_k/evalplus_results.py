"""Counts of correct answers in a result file of evalplus (Liu et al. 2023, github.com/evalplus/evalplus).

{"eval": {"Mbpp/2": [{"solution": "...", "base_status": "pass", "plus_status": "fail"}, ...], ...}}
"""

import json
from collections import Counter
from pathlib import Path

from hindsight.errors import UserError
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.verdict_counts import ProblemCounts, VerdictCounts, tabulate

STATUSES = ("plus", "base")


def count_evalplus(path: Path, status: str) -> VerdictCounts:
    """The verdicts in a result file of evalplus, by `plus_status` or `base_status`.

    Raises UserError for a file that has no task, or is not a result file with this status.
    """
    try:
        problems = {
            task: ProblemCounts(files=len(samples), outcomes=_outcomes(samples, f"{status}_status"))
            for task, samples in json.loads(path.read_bytes())["eval"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a result file of evalplus with a {status}_status ({error!r})") from None
    if not problems:
        raise UserError(f"{path} holds no task")
    return tabulate(problems)


def _outcomes(samples: list[dict[str, str]], key: str) -> Counter[Outcome]:
    return Counter(Outcome.CORRECT if sample[key] == "pass" else Outcome.WRONG for sample in samples)
