"""What changes with alpha: measures of the runs of a sweep, problem by problem, and their paired differences.

measured = measure_sweep({0.0: answers, 0.4: answers, 1.0: answers}, ks=(1, 10))
measured.estimate(0.4, "pass@10")               # an Estimate, with its 95 % interval over problems
measured.difference(0.4, 1.0, "pass@10")        # paired, on the problems of both
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.measures.correctness import pass_at_k_by_problem, samples_by_problem
from analysis.measures.diversity import match_answers
from analysis.measures.program_diversity import distinct_programs, effective_programs
from analysis.reading.answers import Answer, by_problem
from hindsight.pass_at_k.estimators import Estimate, estimate_difference, estimate_mean

Values = dict[int, float]  # by question id


@dataclass(frozen=True)
class Measure:
    """The description of a measure, and the number of digits that a table shows."""

    description: str
    digits: int = 3


# Besides pass@k. A measure of single answers is a mean over those of a problem, then over problems.
MEASURES = {
    "distinct programs": Measure("share of programs that differ in more than names and layout"),
    "effective programs": Measure("effective number of different programs per problem", 2),
    "thought": Measure("words in the thought of a converted answer", 1),
    "tokens": Measure("tokens of an answer", 1),
    "cut off": Measure("share of answers cut off by length"),
    "in format": Measure("share of answers that the model ended itself, in the uniform format with a program"),
}

_OF_AN_ANSWER: dict[str, Callable[[Answer], float | None]] = {
    "thought": lambda answer: None if answer.thought is None else len(answer.thought.split()),
    "tokens": lambda answer: answer.tokens,
    "cut off": lambda answer: answer.finish_reason == "length",
    "in format": lambda answer: answer.in_format,
}


@dataclass(frozen=True)
class MeasuredSweep:
    """The measures of a sweep: `values` by alpha, measure and problem.

    names: the measures that every alpha has; left_out: sentences on problems that a pass@k does not count.
    """

    values: dict[float, dict[str, Values]]
    left_out: tuple[str, ...] = ()

    @property
    def alphas(self) -> list[float]:
        return sorted(self.values)

    @property
    def names(self) -> list[str]:
        first, *others = self.values.values()
        return [name for name in first if all(name in other for other in others)]

    @property
    def parents(self) -> list[float]:
        """The alphas that are parents, of 0 (the base) and 1 (the fine-tuned model)."""
        return [alpha for alpha in self.alphas if alpha in (0, 1)]

    def estimate(self, alpha: float, name: str) -> Estimate:
        """The mean of a measure over problems."""
        return estimate_mean(self.values[alpha][name])

    def difference(self, one: float, other: float, name: str) -> Estimate | None:
        """A measure at one alpha minus that at another, paired by problem; None if they share no problem."""
        ours, theirs = self.values[one][name], self.values[other][name]
        return estimate_difference(ours, theirs) if ours.keys() & theirs.keys() else None

    def differs_from_parents(self, alpha: float, name: str) -> bool:
        """Whether the 95 % intervals of the differences to both parents, if these were sampled, exclude zero."""
        found = [self.difference(alpha, parent, name) for parent in self.parents if parent != alpha]
        return bool(found) and all(each is not None and (each.low > 0 or each.high < 0) for each in found)


def measure_sweep(runs: dict[float, list[Answer]], ks: Sequence[int]) -> MeasuredSweep:
    """The measures of runs by alpha.

    pass@k leaves out a problem with fewer than k judged answers. The diversity of programs is measured on equal numbers
    of programs, since it depends on their number: on each problem the first programs of every run, as many as the run
    with the fewest has, but at least two. Raises UserError when step 3 has not checked an answer.
    """
    values: dict[float, dict[str, Values]] = {alpha: {} for alpha in runs}
    left_out = []
    for alpha, answers in runs.items():
        for k in ks:
            enough = [each for group in samples_by_problem(answers).values() if len(group) >= k for each in group]
            if found := pass_at_k_by_problem(enough, k):
                values[alpha][f"pass@{k}"] = found
            if few := len(by_problem(answers)) - len(found):
                left_out.append(f"alpha {alpha:g}: {few} problems have fewer than {k} judged answers, not in pass@{k}")
    with_code = {f"{alpha:g}": [each for each in answers if each.code is not None] for alpha, answers in runs.items()}
    matched = match_answers(with_code)
    for alpha, answers in runs.items():
        values[alpha] |= _measure_programs(matched[f"{alpha:g}"]) | _measure_answers(answers)
    return MeasuredSweep(values, tuple(left_out))


def _measure_programs(answers: Sequence[Answer]) -> dict[str, Values]:
    codes = {
        question: [each.code for each in group if each.code is not None]
        for question, group in by_problem(answers).items()
    }
    measures = {"distinct programs": distinct_programs, "effective programs": effective_programs}
    return {name: {q: measure(found) for q, found in codes.items()} for name, measure in measures.items() if codes}


def _measure_answers(answers: Sequence[Answer]) -> dict[str, Values]:
    """The means over each problem's answers, of those that have a value."""
    found: dict[str, Values] = {}
    for name, measure in _OF_AN_ANSWER.items():
        for question, group in by_problem(answers).items():
            if numbers := [number for number in map(measure, group) if number is not None]:
                found.setdefault(name, {})[question] = sum(numbers) / len(numbers)
    return found
