"""How often the intervals of `hindsight.pass_at_k.extrapolation` cover the truth, and the error of its estimates.

Counts are drawn from known worlds: beta distributions, two kinds of problems, and the shares of correct answers in the
lab's results and in published samples of EvalPlus's sets (`shared/evalplus` beside the repository; else left out). Each
line has the coverage and the width of 95 % intervals by k, and the bias and the root mean square error of the estimate.

    python -m benchmarks.extrapolating [TRIES [ANSWERS PROBLEMS]]     # default 1000 10 100: half an hour
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import run_benchmark
from hindsight.pass_at_k.extrapolation import fit_distribution
from hindsight.pass_at_k.mixing_distributions import AnswerCounts, chances_of_success

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT.parent / "shared" / "evalplus" / "programs.jsonl.gz"
LAB = {"lab, alpha 0": "base_chat_T0.7", "lab, alpha 0.4": "lerp_0.4", "lab, alpha 1": "instruct_T0.7"}
MULTIPLES = (0.5, 1, 2, 5, 10)  # of the number of answers: the ks

World = Callable[[np.random.Generator, int], np.ndarray]  # success probabilities of this many problems


def beta(a: float, b: float) -> World:
    return lambda chance, problems: chance.beta(a, b, problems)


def kinds(chances: list[float]) -> World:
    """Each problem has one of these chances, all equally often."""
    return lambda chance, problems: chance.choice(np.array(chances), problems)


def all_worlds() -> dict[str, World]:
    found = {
        "beta 0.4, 0.8": beta(0.4, 0.8),
        "beta 2, 3": beta(2, 3),
        "beta 0.15, 0.6": beta(0.15, 0.6),
        "0.05 or 0.6": kinds([0.05, 0.6]),
        "0 or 0.3": kinds([0.0, 0.3]),
        "0 or 0.02": kinds([0.0, 0.02]),
    }
    runs = json.loads((ROOT / "lab" / "results.json").read_text())["runs"]
    for name, setting in LAB.items():
        seeds = runs[setting].values()
        found[name] = kinds([c / n for run in seeds for c, n in zip(run["correct"], run["samples"], strict=True)])
    return found | published_worlds()


def published_worlds() -> dict[str, World]:
    """CodeGen's six published samples per task of HumanEval+."""
    if not PUBLISHED.exists():
        print(f"without published samples: {PUBLISHED} is missing")
        return {}
    passed = defaultdict(list)
    with gzip.open(PUBLISHED, "rt") as file:
        for row in map(json.loads, file):
            passed[row["set"], row["source"], row["task_id"]].append(row["base_status"] == row["plus_status"] == "pass")
    return {"CodeGen-16B": kinds([sum(each) / len(each) for each in passed.values() if len(each) > 1])}


def measure(world: World, answers: int, problems: int, tries: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether intervals cover the truth, how wide they are, and the error of the estimate, [tries, MULTIPLES] each."""
    chance = np.random.default_rng(0)
    ks = [max(1, int(answers * each)) for each in MULTIPLES]
    many = world(chance, 1_000_000)
    covered, widths, errors = np.empty((3, tries, len(ks)))
    truth = np.array([chances_of_success(many, k).mean() for k in ks])
    for number in range(tries):
        correct = chance.binomial(answers, world(chance, problems))
        fitted = fit_distribution(AnswerCounts.of([answers] * problems, correct))
        low, high = np.array([fitted.interval(k) for k in ks]).T
        covered[number], widths[number] = (low <= truth) & (truth <= high), high - low
        errors[number] = [chances_of_success(fitted.counts.grid, k) @ fitted.weights for k in ks] - truth
    return covered, widths, errors


def main(tries: int = 1000, answers: int = 10, problems: int = 100) -> None:
    print(f"{tries} tries of {problems} problems x {answers} answers; k is {MULTIPLES} times {answers}")
    for name, world in all_worlds().items():
        covered, widths, errors = measure(world, answers, problems, tries)
        columns = {
            "covers": covered.mean(axis=0),
            "width": widths.mean(axis=0),
            "bias": errors.mean(axis=0),
            "error": (errors**2).mean(axis=0) ** 0.5,
        }
        shown = [f"{title} {' '.join(f'{each:6.3f}' for each in numbers)}" for title, numbers in columns.items()]
        print(f"  {name:16}", "  ".join(shown), flush=True)


if __name__ == "__main__":
    run_benchmark(main)
