"""Counts of correct answers in a result file of evalplus (Liu et al. 2023, github.com/evalplus/evalplus).

{"eval": {"Mbpp/2": [{"solution": "...", "base_status": "pass", "plus_status": "fail"}, ...], ...}}
"""

import json
from pathlib import Path

import numpy as np

from hindsight.errors import UserError
from hindsight.pass_at_k.verdict_counts import VerdictCounts

STATUSES = ("plus", "base")


def count_evalplus(path: Path, status: str) -> VerdictCounts:
    """The verdicts in a result file of evalplus, by `plus_status` or `base_status`. Raises UserError for another."""
    try:
        tasks = json.loads(path.read_bytes())["eval"]
        counts = [
            [len(samples), sum(sample[f"{status}_status"] == "pass" for sample in samples), 0, 0, 0, 0]
            for samples in tasks.values()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no result file of evalplus with a {status}_status ({error!r})") from None
    if not counts:
        raise UserError(f"{path} holds no task")
    return VerdictCounts(tuple(tasks), np.array(counts), ("",) * len(counts))
