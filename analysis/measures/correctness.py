"""Verdicts of runs compared: by reason, by pass@k, and problem by problem."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.reading.answers import NOT_JUDGED, Answer, by_problem
from hindsight.errors import UserError
from hindsight.pass_at_k import estimators
from hindsight.pass_at_k.estimators import Estimate, estimate_difference, estimate_mean

DIFFICULTIES = ("EASY", "MEDIUM", "MEDIUM_HARD", "HARD", "VERY_HARD")  # TACO's, in order


def count_verdicts(runs: dict[str, list[Answer]]) -> dict[str, Counter]:
    """The number of answers by verdict, for each run."""
    return {run: Counter(answer.verdict for answer in answers) for run, answers in runs.items()}


def count_correct(answers: Sequence[Answer]) -> dict[int, tuple[int, int]]:
    """(answers, correct ones) of each problem; an answer that could not be converted is not correct.

    Raises UserError when an answer has no verdict.
    """
    unjudged = [answer for answer in answers if answer.verdict == NOT_JUDGED]
    if unjudged:
        raise UserError(f"{len(unjudged)} answers of {unjudged[0].run} have no verdict; run check_converted_samples.py")
    return {
        question: (len(group), sum(answer.is_correct for answer in group))
        for question, group in by_problem(list(answers)).items()
    }


def fewest_samples(runs: dict[str, list[Answer]]) -> int:
    """The fewest answers that any problem has in any run: the largest k that pass@k can be given for."""
    return min(n for answers in runs.values() for n, _ in count_correct(answers).values())


def pass_at_k(answers: Sequence[Answer], ks: Sequence[int]) -> dict[int, Estimate]:
    """A run's pass@k, the mean over its problems with its interval, by k."""
    return {k: estimate_mean(pass_at_k_by_problem(answers, k)) for k in ks}


def pass_at_k_difference(one: Sequence[Answer], other: Sequence[Answer], k: int) -> Estimate:
    """pass@k of `one` minus that of `other`, paired, on the problems of both, with its interval."""
    return estimate_difference(pass_at_k_by_problem(one, k), pass_at_k_by_problem(other, k))


def pass_at_k_by_problem(answers: Sequence[Answer], k: int) -> dict[int, float]:
    """pass@k of each problem, by question id."""
    return {question: estimators.pass_at_k(*counts, k) for question, counts in count_correct(answers).items()}


def differences(
    runs: dict[str, list[Answer]], pairs: Iterable[tuple[str, str]], ks: Sequence[int]
) -> dict[str, Estimate]:
    """`pass_at_k_difference` of pairs of runs at each k, by what it is called in a figure."""
    return {
        f"{one} - {other}" + f", pass@{k}" * (len(ks) > 1): pass_at_k_difference(runs[one], runs[other], k)
        for one, other in pairs
        for k in ks
    }


def against_both(merged: Sequence[Answer], one: Sequence[Answer], other: Sequence[Answer]) -> list[dict[str, Any]]:
    """For each problem of all three the share of correct answers, and how the merged model stands to its parents.

    `stands` is 1 where it is above both, -1 where it is below both, else 0. Rows go from the largest win, over the
    better parent, to the largest loss, under the worse one.
    """
    counts = [count_correct(answers) for answers in (merged, one, other)]
    difficulties = {answer.question_id: answer.difficulty for answer in merged}
    rows = []
    for question in sorted(counts[0].keys() & counts[1].keys() & counts[2].keys()):
        share, *parents = (count[question][1] / count[question][0] for count in counts)
        stands = int(share > max(parents)) - int(share < min(parents))
        margin = share - max(parents) if stands > 0 else share - min(parents) if stands < 0 else 0.0
        rows.append(
            {
                "question_id": question,
                "difficulty": difficulties[question],
                "merged": share,
                "one": parents[0],
                "other": parents[1],
                "stands": stands,
                "margin": margin,
            }
        )
    return sorted(rows, key=lambda row: -row["margin"])


def most_mixed_problem(runs: dict[str, list[Answer]]) -> int:
    """The problem, the first of several, that runs answer both rightly and wrongly most evenly.

    That is the largest p (1 - p), p being a run's share of correct answers to it, summed over the runs.
    """
    mixed: Counter = Counter()
    for answers in runs.values():
        for question, (n, correct) in count_correct(answers).items():
            mixed[question] += correct / n * (1 - correct / n)
    return min(mixed, key=lambda question: (-mixed[question], question))


def standing(rows: Sequence[dict[str, Any]], names: tuple[str, str, str], most: int = 5) -> list[dict[str, Any]]:
    """The largest wins and losses of `against_both`, up to `most` of each, as rows of a table.

    `names` are the runs that the rows compare: the merged one and its parents.
    """
    wins = [row for row in rows if row["stands"] > 0][:most]
    losses = [row for row in rows if row["stands"] < 0][-most:]
    return [
        {
            "question": row["question_id"],
            "difficulty": row["difficulty"],
            **dict(zip(names, (row["merged"], row["one"], row["other"]), strict=True)),
        }
        for row in [*wins, *losses]
    ]


def standing_by_difficulty(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many problems of each difficulty the merged model wins and loses against both parents, rows of a table."""
    groups: dict[str, Counter] = {name: Counter() for name in DIFFICULTIES}
    for row in rows:
        groups.setdefault(row["difficulty"], Counter())[row["stands"]] += 1
    return [
        {
            "difficulty": name or "not known",
            "problems": stands.total(),
            "above both parents": stands[1],
            "below both parents": stands[-1],
        }
        for name, stands in groups.items()
        if stands
    ]
