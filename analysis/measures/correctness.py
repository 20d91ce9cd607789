"""Correctness of runs compared: verdicts, pass@k, and problem by problem."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.reading.answers import Answer, by_problem
from hindsight.errors import UserError
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k import estimators
from hindsight.pass_at_k.estimators import Estimate, estimate_difference, estimate_mean

DIFFICULTIES = ("EASY", "MEDIUM", "MEDIUM_HARD", "HARD", "VERY_HARD")  # TACO's, in order


def count_verdicts(runs: dict[str, list[Answer]]) -> dict[str, Counter[str]]:
    """The number of answers by verdict, for each run."""
    return {run: Counter(answer.verdict for answer in answers) for run, answers in runs.items()}


def samples_by_problem(answers: Iterable[Answer]) -> dict[int, list[Answer]]:
    """The answers to each problem that pass@k counts, which leaves out those that could not be judged.

    Raises UserError when step 3 has not checked an answer.
    """
    answers = list(answers)
    unchecked = [answer for answer in answers if answer.outcome is Outcome.UNCHECKED]
    if unchecked:
        raise UserError(
            f"{len(unchecked)} answers of {unchecked[0].run} have no verdict; run check_converted_samples.py"
        )
    return by_problem(answer for answer in answers if answer.outcome.is_sample)


def count_correct(answers: Iterable[Answer]) -> dict[int, tuple[int, int]]:
    """(samples, correct samples) of each problem with a sample; see `samples_by_problem`."""
    return {
        question: (len(group), sum(answer.is_correct for answer in group))
        for question, group in samples_by_problem(answers).items()
    }


def fewest_samples(runs: dict[str, list[Answer]]) -> int:
    """The fewest samples of any problem in any run: the largest k with an unbiased pass@k for all of them."""
    return min(n for answers in runs.values() for n, _ in count_correct(answers).values())


def pass_at_k(answers: Iterable[Answer], ks: Sequence[int]) -> dict[int, Estimate]:
    """A run's pass@k, the mean over its problems with its interval, by k."""
    return {k: estimate_mean(pass_at_k_by_problem(answers, k)) for k in ks}


def pass_at_k_difference(one: Iterable[Answer], other: Iterable[Answer], k: int) -> Estimate:
    """pass@k of `one` minus that of `other`, paired, on the problems of both, with its interval."""
    return estimate_difference(pass_at_k_by_problem(one, k), pass_at_k_by_problem(other, k))


def pass_at_k_by_problem(answers: Iterable[Answer], k: int) -> dict[int, float]:
    """pass@k of each problem, by question id."""
    return {question: estimators.pass_at_k(*counts, k) for question, counts in count_correct(answers).items()}


def differences(
    runs: dict[str, list[Answer]], pairs: Iterable[tuple[str, str]], ks: Sequence[int]
) -> dict[str, Estimate]:
    """`pass_at_k_difference` of pairs of runs at each k, by its label in a figure."""
    return {
        f"{one} - {other}" + f", pass@{k}" * (len(ks) > 1): pass_at_k_difference(runs[one], runs[other], k)
        for one, other in pairs
        for k in ks
    }


def compare_with_parents(
    merged: Sequence[Answer], one: Iterable[Answer], other: Iterable[Answer]
) -> list[dict[str, Any]]:
    """The share of correct samples of a merged model and of its two parents, for each problem of all three runs.

    `rank` is 1 if the merged model is above both parents, -1 if it is below both, else 0. The rows are sorted
    from the largest win over the better parent to the largest loss to the worse one.
    """
    counts = [count_correct(answers) for answers in (merged, one, other)]
    difficulties = {answer.question_id: answer.difficulty for answer in merged}
    rows = []
    for question in sorted(counts[0].keys() & counts[1].keys() & counts[2].keys()):
        share, *parents = (count[question][1] / count[question][0] for count in counts)
        rank = int(share > max(parents)) - int(share < min(parents))
        margin = share - max(parents) if rank > 0 else share - min(parents) if rank < 0 else 0.0
        rows.append(
            {
                "question_id": question,
                "difficulty": difficulties[question],
                "merged": share,
                "one": parents[0],
                "other": parents[1],
                "rank": rank,
                "margin": margin,
            }
        )
    return sorted(rows, key=lambda row: -row["margin"])


def most_mixed_problem(runs: dict[str, list[Answer]]) -> int:
    """The problem whose answers are most evenly split between correct and wrong (the first of them).

    It has the largest sum over the runs of p (1 - p), where p is a run's share of correct samples.
    """
    mixed: dict[int, float] = defaultdict(float)
    for answers in runs.values():
        for question, (n, correct) in count_correct(answers).items():
            mixed[question] += correct / n * (1 - correct / n)
    return min(mixed, key=lambda question: (-mixed[question], question))


def wins_and_losses(rows: Sequence[dict[str, Any]], names: tuple[str, str, str], most: int = 5) -> list[dict[str, Any]]:
    """The largest wins and losses of `compare_with_parents`, up to `most` of each, as table rows.

    `names` are the names of the merged run and its two parents.
    """
    wins = [row for row in rows if row["rank"] > 0][:most]
    losses = [row for row in rows if row["rank"] < 0][-most:]
    return [
        {
            "question": row["question_id"],
            "difficulty": row["difficulty"],
            **dict(zip(names, (row["merged"], row["one"], row["other"]), strict=True)),
        }
        for row in [*wins, *losses]
    ]


def wins_by_difficulty(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many problems of each difficulty the merged model wins and loses against both parents, as table rows."""
    groups: dict[str, Counter[int]] = {name: Counter() for name in DIFFICULTIES}
    for row in rows:
        groups.setdefault(row["difficulty"], Counter())[row["rank"]] += 1
    return [
        {
            "difficulty": name or "not known",
            "problems": ranks.total(),
            "above both parents": ranks[1],
            "below both parents": ranks[-1],
        }
        for name, ranks in groups.items()
        if ranks
    ]
