"""What entropies along answers come to: means over tokens with intervals over problems, and the picture of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hindsight.errors import require
from hindsight.pass_at_k.drawing import COLUMN_INCHES, PRINT_STYLE, line_style, save_figure
from hindsight.pass_at_k.estimators import bootstrap_ratio_interval, in_order

FEWEST = 5  # problems that a point by position rests on, at least
NAMED = 6  # alphas that the legend names, at most

Record = dict[str, Any]


def mean_of(sums: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """The mean, `sums` by `counts`, [problems] each, with its 95 % interval; problems that have none count not."""
    there = counts > 0
    low, high = bootstrap_ratio_interval(sums[there, None], counts[there, None])
    return {"mean": float(sums.sum() / counts.sum()), "low": float(low[0]), "high": float(high[0])}


def by_problem(problems: Sequence[Any], values: Sequence[float]) -> np.ndarray:
    """The sum of the values of each problem's answers, [problems] in order of their ids."""
    totals = dict.fromkeys(problems, 0.0)
    for problem, value in zip(problems, values, strict=True):
        totals[problem] += float(value)
    return np.array([totals[problem] for problem in in_order(totals)])


def mean_by_position(entropies: Sequence[np.ndarray], problems: Sequence[Any], size: int) -> list[dict[str, float]]:
    """Means over `size` positions of all answers, as far as answers to FEWEST problems reach, or to all of fewer."""
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
    """What is written about one checkpoint: means, in nats, each with its 95 % interval.

    `entropies` has those of each answer, [tokens]. `mean` is over all tokens, `mean_of_answers` over the answers' own
    means, `by_position` over `size` positions; `by_answer` has rows of question_id, sample_index, tokens, mean. Raises
    UserError where there are no tokens, or an entropy is no number.
    """
    rows = [(answer, values) for answer, values in zip(answers, entropies, strict=True) if len(values)]
    require(bool(rows), f"no answer has a token within the longest text of {label}; give larger --max_tokens")
    problems, read = [answer["question_id"] for answer, _ in rows], [values for _, values in rows]
    lengths, sums = [len(values) for values in read], [float(values.sum(dtype=np.float64)) for values in read]
    require(bool(np.isfinite(sums).all()), f"{label} gives logits that are no numbers: its weights are broken")
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
    """The mean of one checkpoint minus another's that read the same tokens, with its interval."""
    problems, _, lengths, _ = zip(*one["by_answer"], strict=True)
    pairs = zip(one["by_answer"], other["by_answer"], strict=True)
    sums = [row[2] * (row[3] - before[3]) for row, before in pairs]
    found = mean_of(by_problem(problems, sums), by_problem(problems, lengths))
    return {"one": one["label"], "other": other["label"], **found}


def draw(summaries: Sequence[Record], size: int, read: str, output: Path, suffixes: Sequence[str]) -> None:
    """Mean entropy by alpha, where there are alphas, and by position in the answer, in two panels."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    others = [summary["label"] for summary in summaries if summary["alpha"] is None]
    looks = {
        each["label"]: line_style(each["alpha"], others.index(each["label"]) if each["alpha"] is None else 0)
        for each in summaries
    }
    count = 1 + (len(others) < len(summaries))
    with rc_context(PRINT_STYLE):
        figure = Figure(figsize=(COLUMN_INCHES[0] * count, COLUMN_INCHES[1] + 0.2), layout="constrained")
        panels = figure.subplots(1, count, squeeze=False)[0]
        draw_alphas(panels[0], summaries, looks)
        draw_positions(panels[-1], summaries, looks, size)
        for axes in panels:
            axes.set(ylim=(0, None))
            axes.grid(alpha=0.3, linewidth=0.4)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("next-token entropy, nats")
        figure.suptitle(f"read by all: {read}", fontsize=8)
        save_figure(figure, output, suffixes)


def draw_alphas(axes: Any, summaries: Sequence[Record], looks: dict[str, dict]) -> None:
    """Means by alpha with their intervals, hollow those of merged folders; what has no alpha as a level."""
    own_pair = [each for each in summaries if isinstance(each["read"]["source"], list)]
    axes.plot([each["alpha"] for each in own_pair], [each["mean"] for each in own_pair], color="0.6", linewidth=0.8)
    for each in summaries:
        own = looks[each["label"]]
        if each["alpha"] is None:
            axes.axhline(each["mean"], color=own["color"], linestyle=own["linestyle"], linewidth=1.1)
            axes.axhspan(each["low"], each["high"], color=own["color"], alpha=0.08, linewidth=0)
            continue
        own = own if each in own_pair else {**own, "markerfacecolor": "none", "markersize": 7}
        around = [[each["mean"] - each["low"]], [each["high"] - each["mean"]]]
        axes.errorbar(each["alpha"], each["mean"], around, **{"markersize": 4, **own}, linewidth=0.9, capsize=2)
    axes.set(xlabel="alpha (0: base, 1: fine-tuned)", xlim=(-0.04, 1.04))


def draw_positions(axes: Any, summaries: Sequence[Record], looks: dict[str, dict], size: int) -> None:
    """Means by position with their intervals; of many alphas the legend names the ends and the middle."""
    alphas = [each["label"] for each in summaries if each["alpha"] is not None]
    unnamed = set(alphas) - {alphas[0], alphas[len(alphas) // 2], alphas[-1]} if len(alphas) > NAMED else set()
    for each in summaries:
        label = None if each["label"] in unnamed else each["label"]
        own, points = looks[each["label"]], each["by_position"]
        places = [point["start"] + size / 2 for point in points]
        low, mean, high = ([point[name] for point in points] for name in ("low", "mean", "high"))
        axes.fill_between(places, low, high, color=own["color"], alpha=0.1, linewidth=0)
        axes.plot(places, mean, color=own["color"], linestyle=own["linestyle"], linewidth=1, label=label)
    axes.set(xlabel="position in the answer, tokens")
    axes.legend(frameon=False, fontsize=6.5, handlelength=2.2)
