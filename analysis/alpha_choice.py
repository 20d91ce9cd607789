"""A search for the best alpha over run folders: the rounds sampled so far, and what their answers show.

`rounds.json` in the output folder lists the rounds, [{"0.4": 6, "0.3": 6}, ...], answers per problem by alpha. A round
is listed before it is sampled, so a search that was killed completes it and decides as if it had not been.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.alpha_runs import AlphaRuns, make_runs, plan_runs
from analysis.measures.alpha_objectives import Objective, judged_problems
from analysis.measures.best_alpha import Beliefs, Decision, Search, believe
from analysis.reading.answers import Answer, load_answers, require_same_problems
from hindsight.errors import UserError, require
from hindsight.files.records import write_json
from hindsight.pipeline import ROOT, serve_models
from hindsight.sampling.samples import ProblemChoice

ROUNDS = "rounds.json"
Round = dict[int, int]  # answers per problem that each alpha is to have, by its number


@dataclass(eq=False)
class SampledAlphas:
    """The run folders of a search. flags: step 1a's. A context manager: a server that it starts ends with it."""

    runs: AlphaRuns
    choice: ProblemChoice
    flags: Sequence[str]
    rounds: list[Round] = field(default_factory=list)
    found: dict[int, list[Answer]] = field(default_factory=dict)  # the answers at each alpha
    status: int = 0

    def __post_init__(self) -> None:
        self._stack, self._serving = contextlib.ExitStack(), self.runs
        self.rounds += self._read_rounds()

    def __enter__(self) -> "SampledAlphas":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def answers(self) -> list[int]:
        """How many answers per problem were requested at each alpha."""
        return [max(each.get(number, 0) for each in self.rounds) for number in range(len(self.runs.alphas))]

    def sample(self, wanted: Round) -> None:
        """Samples, converts and checks a round, and reads the answers."""
        if wanted not in self.rounds[-1:]:
            self.rounds.append(wanted)
            names = [{f"{self.runs.alphas[number]:g}": count for number, count in each.items()} for each in self.rounds]
            (ROOT / self.runs.output).mkdir(parents=True, exist_ok=True)
            write_json(ROOT / self.runs.output / ROUNDS, names)
        planned = [
            run
            for number, count in wanted.items()
            for run in plan_runs(self._only(number, count), self.choice, self.flags)
        ]
        if not self._serving.base_url and not all(run.is_complete() for run in planned):
            models = self.runs.models(next(run.alpha for run in planned if not run.is_complete()) or 0.0)
            urls = self._stack.enter_context(serve_models(models, self.runs.start_deadline))
            self._serving = replace(self.runs, base_url=urls[self.runs.served_name])
        self.status = max(self.status, make_runs(self._serving, planned))
        for number in range(len(self.runs.alphas)):
            if number in wanted or number not in self.found:
                self.found[number] = self._read(number)

    def read_all(self) -> None:
        """Reads the existing answers. Raises UserError if no alpha has any."""
        folders = [ROOT / self.runs.folder(alpha) for alpha in self.runs.alphas]
        self.found = {number: self._read(number) for number, folder in enumerate(folders) if folder.is_dir()}
        require(bool(self.found), f"{self.runs.output} has no run folder of an alpha, such as {folders[0].name}")

    def problems(self) -> list[list[list[Answer]]]:
        """The judged answers, [alphas][problems][...], to the problems that have some at every alpha.

        Raises UserError if two alphas have different problems with one id, or the alphas share fewer than two problems.
        """
        require_same_problems({f"alpha {self.runs.alphas[number]:g}": each for number, each in self.found.items()})
        judged = [judged_problems(self.found[number]) for number in range(len(self.runs.alphas))]
        common = [question for question in judged[0] if all(question in each for each in judged)]
        require(len(common) > 1, f"{self.runs.output}: a choice needs two problems with judged answers at every alpha")
        return [[each[question] for question in common] for each in judged]

    def tokens(self, number: int) -> int:
        """The number of tokens in all answers at an alpha, as reported by the server."""
        return sum(answer.tokens or 0 for answer in self.found[number])

    def tokens_for(self, wanted: Round) -> float:
        """Roughly how many tokens a round takes, judging by the lengths of the answers so far."""
        missing = {number: max(0, count - self.answers[number]) for number, count in wanted.items()}
        each = {number: self.tokens(number) / max(1, self.answers[number]) for number in wanted}
        return sum(missing[number] * each[number] for number in wanted)

    def _only(self, number: int, count: int) -> AlphaRuns:
        names = self.runs.served_names[number : number + 1]
        return replace(self.runs, alphas=(self.runs.alphas[number],), served_names=names, num_samples=count)

    def _read(self, number: int) -> list[Answer]:
        alpha = self.runs.alphas[number]
        return load_answers(ROOT / self.runs.folder(alpha), f"alpha {alpha:g}")

    def _read_rounds(self) -> list[Round]:
        """The rounds of an earlier call. Raises UserError for a different kind of file, or other alphas."""
        path = ROOT / self.runs.output / ROUNDS
        if not path.exists():
            return []
        numbers = {f"{alpha:g}": number for number, alpha in enumerate(self.runs.alphas)}
        try:
            return [
                {numbers[name]: int(count) for name, count in each.items()} for each in json.loads(path.read_bytes())
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(
                f"{path} has rounds at alphas other than {', '.join(numbers)}: give another folder"
            ) from None


@dataclass(frozen=True, eq=False)
class Finding:
    """The outcome of a search. values: [alphas, problems]; why it ended: "known", "budget" or "most"."""

    beliefs: Beliefs
    decision: Decision
    values: np.ndarray
    why: str


def choose(sampled: SampledAlphas, objective: Objective, search: Search, token_budget: int) -> Finding:
    """Samples round by round until the best alpha is known, as `search` says, or the tokens are spent (0: no limit)."""
    wanted = sampled.rounds[-1] if sampled.rounds else dict.fromkeys(range(len(sampled.runs.alphas)), search.first)
    while True:
        sampled.sample(wanted)
        problems = sampled.problems()
        values = np.array([objective.values(each) for each in problems])
        beliefs = believe(sampled.runs.alphas, values)
        needed = None
        if objective.name == "pass@1":
            needed = believe(sampled.runs.alphas, np.array([objective.needed(each) for each in problems]))
        decision = search.decide(beliefs, needed, objective.level)
        spent = sum(map(sampled.tokens, sampled.found))
        print(describe_round(sampled, objective, beliefs, decision, spent), flush=True)
        wanted = search.next_round(decision, sampled.answers)
        if not wanted:
            known = not decision.rivals and decision.short <= search.tolerance
            return Finding(beliefs, decision, values, "known" if known else "most")
        if token_budget and spent + sampled.tokens_for(wanted) > token_budget:
            return Finding(beliefs, decision, values, "budget")


def describe_round(
    sampled: SampledAlphas, objective: Objective, beliefs: Beliefs, decision: Decision, spent: int
) -> str:
    """One line on what a round found."""
    alphas = sampled.runs.alphas
    rivals = ", ".join(f"{alphas[number]:g}" for number in sorted(decision.rivals)) or "none"
    answers = sum(map(len, sampled.found.values()))
    best = f"alpha {alphas[decision.lead]:g}, {objective} {beliefs.mean[decision.lead]:.3f}"
    return f"round {len(sampled.rounds)}: {answers:,} answers, {spent:,} tokens; best {best}; may exceed it: {rivals}"
