"""How often `analysis/choose_alpha.py` finds an alpha within .01 of the best, with a quarter of a sweep's answers.

The search for the best pass@10 is replayed on the lab's results: 300 problems, 20 answers at each of eleven alphas,
three training seeds. A replay shuffles each problem's answers and asks for them in the search's own rounds. The best is
that of the whole sweep of the same seed. Beside it: as many answers spread evenly, judged by each alpha's own pass@10
and by the same smoothing.

    python -m benchmarks.choosing [REPLAYS]     # default 1000
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.measures.alpha_objectives import pass_at_k_values
from analysis.measures.best_alpha import Search, believe
from benchmarks import run_benchmark
from hindsight.pass_at_k.estimators import pass_at_ks

RESULTS = Path(__file__).resolve().parents[1] / "lab" / "results.json"
ALPHAS = tuple(number / 10 for number in range(11))
SETTINGS = ("base_chat_T0.7", *(f"lerp_{alpha:g}" for alpha in ALPHAS[1:-1]), "instruct_T0.7")
K, SHARE, NEAR = 10, 0.25, 0.01
SEARCH = Search(first=2, batch=2, most=20, tolerance=NEAR, confidence=0.95)


class Replay:
    """One replay of a seed; correct: [alphas, problems], of `samples` answers to each."""

    def __init__(self, correct: np.ndarray, samples: int, chance: np.random.Generator):
        flags = np.arange(samples) < correct[..., None]
        self.found = np.cumsum(chance.permuted(flags, axis=-1), axis=-1)  # among the first 1, 2, ... answers
        self.answers = [0] * len(correct)
        self.values = np.zeros(correct.shape)

    def ask(self, number: int, answers: int) -> None:
        """Asks for this many answers per problem at an alpha."""
        self.answers[number] = answers
        correct = self.found[number, :, answers - 1]
        self.values[number] = pass_at_k_values(np.full(len(correct), answers), correct, K)


def search_replay(replay: Replay, budget: float) -> int:
    """The alpha, by number, that the search has found when its answers per problem, over all alphas, are spent."""
    wanted = dict.fromkeys(range(len(ALPHAS)), SEARCH.first)
    while True:
        for number, answers in wanted.items():
            replay.ask(number, answers)
        decision = SEARCH.decide(believe(ALPHAS, replay.values))
        wanted = SEARCH.next_round(decision, replay.answers)
        more = sum(answers - replay.answers[number] for number, answers in wanted.items())
        if not wanted or sum(replay.answers) + more > budget:
            return decision.lead


def spread_evenly(replay: Replay, budget: float) -> tuple[int, int]:
    """The alphas that as many answers at each find: by its own pass@10, and by the smoothed one."""
    for number in range(len(ALPHAS)):
        replay.ask(number, int(budget / len(ALPHAS)))
    return int(replay.values.mean(axis=1).argmax()), int(believe(ALPHAS, replay.values).mean.argmax())


def replay_seed(run: Sequence[dict], replays: int, seed: int) -> dict[str, np.ndarray]:
    """By how much pass@10 of the chosen alphas misses the best, [replays], and the share of the answers asked for."""
    samples = int(run[0]["samples"][0])
    correct = np.array([each["correct"] for each in run])
    truth = np.array([pass_at_ks(np.full(len(each), samples), each, [K]).mean() for each in correct])
    missed: dict[str, list[float]] = {"search": [], "evenly": [], "evenly, smoothed": [], "share": []}
    for number in range(replays):
        replay = Replay(correct, samples, np.random.default_rng([seed, number]))
        missed["search"].append(truth.max() - truth[search_replay(replay, SHARE * samples * len(ALPHAS))])
        missed["share"].append(sum(replay.answers) / samples / len(ALPHAS))
        raw, smoothed = spread_evenly(replay, SHARE * samples * len(ALPHAS))
        missed["evenly"].append(truth.max() - truth[raw])
        missed["evenly, smoothed"].append(truth.max() - truth[smoothed])
    return {name: np.array(each) for name, each in missed.items()}


def main(replays: int = 1000) -> None:
    runs = json.loads(RESULTS.read_text())["runs"]
    seeds = sorted(runs[SETTINGS[0]])
    sizes = [replays // len(seeds) + (number < replays % len(seeds)) for number in range(len(seeds))]
    found = []
    for seed, size in zip(seeds, sizes, strict=True):
        found.append(replay_seed([runs[name][seed] for name in SETTINGS], size, int(seed)))
        print(f"seed {seed}: {describe(found[-1])}", flush=True)
    print(f"all: {describe({name: np.concatenate([each[name] for each in found]) for name in found[0]})}")


def describe(missed: dict[str, np.ndarray]) -> str:
    """The share of replays within NEAR of the best, and the mean loss, of each way to spend the answers."""
    shares = missed.pop("share")
    words = [f"{name} {(each <= NEAR).mean():.3f} (loses {each.mean():.4f})" for name, each in missed.items()]
    missed["share"] = shares
    return f"{len(shares)} replays, {shares.mean():.3f} of the answers; within {NEAR} of the best: {'; '.join(words)}"


if __name__ == "__main__":
    run_benchmark(main)
