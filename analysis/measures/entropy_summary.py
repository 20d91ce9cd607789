"""Summaries of entropies along answers: means over tokens, with intervals over problems."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hindsight.errors import require
from hindsight.pass_at_k.estimators import bootstrap_ratio_interval, in_order

FEWEST = 5  # fewest problems with tokens at a position for which a mean is given

Record = dict[str, Any]


def mean_of(sums: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """The sum of `sums` over that of `counts`, [problems] each, with its 95 % interval over problems with tokens."""
    present = counts > 0
    low, high = bootstrap_ratio_interval(sums[present, None], counts[present, None])
    return {"mean": float(sums.sum() / counts.sum()), "low": float(low[0]), "high": float(high[0])}


def by_problem(problems: Sequence[Any], values: Sequence[float]) -> np.ndarray:
    """The sum of the values of each problem's answers, [problems] in order of their ids."""
    totals = dict.fromkeys(problems, 0.0)
    for problem, value in zip(problems, values, strict=True):
        totals[problem] += float(value)
    return np.array([totals[problem] for problem in in_order(totals)])


def mean_by_position(entropies: Sequence[np.ndarray], problems: Sequence[Any], size: int) -> list[dict[str, float]]:
    """Means over each `size` positions, up to where FEWEST problems (or all, if fewer) still have tokens."""
    points = []
    for start in range(0, max(map(len, entropies)), size):
        parts = [values[start : start + size] for values in entropies]
        counts = by_problem(problems, [len(part) for part in parts])
        if (counts > 0).sum() < min(FEWEST, len(counts)):
            break
        sums = by_problem(problems, [part.sum(dtype=np.float64) for part in parts])
        points.append({"start": start, **mean_of(sums, counts), "answers": sum(len(part) > 0 for part in parts)})
    return points


def summarise(label: str, answers: Sequence[Record], entropies: Sequence[np.ndarray], size: int) -> Record:
    """The summary of one checkpoint: means in nats, each with its 95 % interval.

    `entropies` holds one array of [tokens] per answer. `mean` is over all tokens, `mean_of_answers` over the answers'
    own means, `by_position` over each `size` positions; a row of `by_answer` is question_id, sample_index, tokens and
    mean. Raises UserError when there are no tokens or an entropy is not finite.
    """
    rows = [(answer, values) for answer, values in zip(answers, entropies, strict=True) if len(values)]
    require(bool(rows), f"no answer has a token within the longest text that {label} reads; raise --max_tokens")
    problems, read = [answer["question_id"] for answer, _ in rows], [values for _, values in rows]
    lengths, sums = [len(values) for values in read], [float(values.sum(dtype=np.float64)) for values in read]
    require(bool(np.isfinite(sums).all()), f"the logits of {label} are not finite: its weights are broken")
    means = [total / length for total, length in zip(sums, lengths, strict=True)]
    return {
        **mean_of(by_problem(problems, sums), by_problem(problems, lengths)),
        "mean_of_answers": mean_of(by_problem(problems, means), by_problem(problems, [1] * len(rows))),
        "tokens": sum(lengths),
        "answers": len(rows),
        "problems": len(set(problems)),
        "by_position": mean_by_position(read, problems, size),
        "by_answer": [
            [answer["question_id"], answer["sample_index"], length, mean]
            for (answer, _), length, mean in zip(rows, lengths, means, strict=True)
        ],
    }


def difference(one: Record, other: Record) -> Record:
    """The mean of one checkpoint minus that of another on the same tokens, with its interval."""
    problems, _, lengths, _ = zip(*one["by_answer"], strict=True)
    pairs = zip(one["by_answer"], other["by_answer"], strict=True)
    sums = [row[2] * (row[3] - before[3]) for row, before in pairs]
    found = mean_of(by_problem(problems, sums), by_problem(problems, lengths))
    return {"one": one["label"], "other": other["label"], **found}
