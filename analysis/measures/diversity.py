"""The diversity of runs' answers, compared on equal terms: by embeddings, by words and by programs.

runs = load_runs()
vectors = {run: load_embeddings(run_folder(run)) for run in runs}
measured = measure_runs(runs, vectors)
measured["alpha_0.7"].estimates()                       # {"similarity": Estimate, ...}
measured["alpha_0.7"].minus(measured["instruct"])       # paired differences
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.measures.embedding_diversity import mean_similarity, similarities_over_all, vendi_score
from analysis.measures.program_diversity import distinct_programs, effective_programs
from analysis.measures.word_diversity import distinct_n, self_bleu
from analysis.reading.answers import Answer, by_problem
from analysis.reading.vectors import Vectors
from hindsight.errors import UserError
from hindsight.pass_at_k.estimators import Estimate, draws, estimate_mean, in_order, percentile_interval

OVER_ALL = "similarity over all"
MEASURES = {
    "similarity": "mean cosine of each two answers to a problem; larger: less diverse",
    OVER_ALL: "mean cosine of any two answers, also to different problems; larger: less diverse",
    "Vendi score": "effective number of different embeddings per problem, at most its answers; larger: more diverse",
    "distinct-1": "different words per word in the answers to a problem; larger: more diverse",
    "distinct-2": "different pairs of words per word in the answers to a problem; larger: more diverse",
    "self-BLEU": "mean BLEU of an answer against the others to its problem, 0 to 1; larger: less diverse",
    "distinct programs": "share of programs that differ in more than names and layout; larger: more diverse",
    "effective programs": "effective number of different programs per problem, at least 1; larger: more diverse",
}

Values = dict[int, float]  # by problem
Watch = Callable[[Iterable], Iterable]


@dataclass(frozen=True)
class RunDiversity:
    """The measures of one run.

    values: each measure by problem, except OVER_ALL; stacked: embeddings by problem, [answers, d]; counts: the number
    of answers behind the measures of texts, programs and embeddings.
    """

    values: dict[str, Values]
    stacked: dict[int, np.ndarray]
    counts: dict[str, int]

    def estimates(self) -> dict[str, Estimate]:
        """The mean of each measure that has values, with its interval, in the order of MEASURES."""
        found = {name: estimate_mean(values) for name, values in self.values.items()}
        if self.stacked:
            found[OVER_ALL] = estimate_over_all(self.stacked)
        return {name: found[name] for name in MEASURES if name in found}

    def minus(self, other: "RunDiversity") -> dict[str, Estimate]:
        """The mean paired difference of each measure on the problems of both runs, with its interval."""
        found = {name: difference(values, other.values[name]) for name, values in self.values.items()}
        if self.stacked:
            found[OVER_ALL] = estimate_over_all(self.stacked, other.stacked)
        return {name: found[name] for name in MEASURES if name in found}


def measure_runs(
    runs: dict[str, list[Answer]], vectors: dict[str, Vectors] | None = None, watch: Watch = iter
) -> dict[str, RunDiversity]:
    """The diversity of runs on the same problems and on equal numbers of answers to each.

    More answers lower distinct-n and the share of distinct programs, and raise self-BLEU, Vendi score and effective
    programs. Each problem is therefore measured on the first answers of every run, as many as the run with the fewest
    has; a problem for which a run has fewer than two is left out. Programs and embeddings are matched in the same way
    among the answers that have one. Embeddings are measured only if `vectors` holds those of every run. `watch` wraps
    the problems, for a progress bar. Raises UserError when no problem has two answers from every run.
    """
    found = {run: (vectors or {}).get(run, {}) for run in runs}
    kinds = {run: _answers_by_kind(answers, found[run]) for run, answers in runs.items()}
    matched = {kind: match_answers({run: kinds[run][kind] for run in runs}) for kind in _MEASURE}
    if not all(matched["texts"].values()):
        raise UserError("no problem has two answers from every run")
    return {run: _measure_run({kind: matched[kind][run] for kind in _MEASURE}, found[run], watch) for run in runs}


def match_answers(runs: dict[str, list[Answer]]) -> dict[str, list[Answer]]:
    """The first answers of each run to each problem, as many as the run with the fewest (at least 2)."""
    groups = {run: by_problem(answers) for run, answers in runs.items()}
    common = sorted(set.intersection(*(set(problems) for problems in groups.values())))
    fewest = {question: min(len(problems[question]) for problems in groups.values()) for question in common}
    return {
        run: [
            answer
            for question, most in fewest.items()
            if most > 1
            for answer in sorted(problems[question], key=lambda answer: answer.sample_index)[:most]
        ]
        for run, problems in groups.items()
    }


def difference(one: Mapping[int, float], other: Mapping[int, float]) -> Estimate:
    """The mean of `one` minus `other`, paired on the problems of both. Raises ValueError when there are none."""
    return estimate_mean({question: one[question] - other[question] for question in one if question in other})


def difference_table(measured: dict[str, RunDiversity], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """A table row per measure and a column per pair of runs: the paired difference and its interval."""
    found = {f"{one} - {other}": measured[one].minus(measured[other]) for one, other in pairs}
    names = next(iter(found.values()))
    return [
        {"measure": name, **{pair: differences[name].text("+") for pair, differences in found.items()}}
        for name in names
    ]


def estimate_over_all(problems: dict[int, np.ndarray], other: dict[int, np.ndarray] | None = None) -> Estimate:
    """The mean cosine of all pairs of a run's answers with its interval; with `other`, minus that of another run.

    `problems` holds [answers, d] per problem, at least two answers each; `other` has the same problems. The bootstrap
    is over problems, as everywhere (see `similarities_over_all`); both runs of a difference have the same draws.
    """
    count, problems = len(problems), {question: problems[question] for question in in_order(problems)}
    weights = np.concatenate([np.ones((1, count)), draws(count)])
    found = similarities_over_all(problems, weights)
    if other is not None:
        found = found - similarities_over_all({question: other[question] for question in problems}, weights)
    low, high = percentile_interval(found[1:], count)
    return Estimate(float(found[0]), float(low), float(high), count)


def _answers_by_kind(answers: Sequence[Answer], vectors: Vectors) -> dict[str, list[Answer]]:
    """All answers, those with a program, and those with an embedding."""
    return {
        "texts": list(answers),
        "programs": [answer for answer in answers if answer.code is not None],
        "embeddings": [answer for answer in answers if answer.key in vectors],
    }


def _measure_run(kinds: dict[str, list[Answer]], vectors: Vectors, watch: Watch) -> RunDiversity:
    """The measures of the answers of each kind, whose problems have at least two of them."""
    groups: dict[str, dict[int, Any]] = {kind: by_problem(answers) for kind, answers in kinds.items()}
    for question, group in groups["embeddings"].items():
        groups["embeddings"][question] = np.stack([vectors[answer.key] for answer in group])
    values: dict[str, Values] = {}
    for kind, problems in groups.items():
        for question, group in watch(problems.items()):
            for name, value in _MEASURE[kind](group).items():
                values.setdefault(name, {})[question] = value
    counts = {kind: len(answers) for kind, answers in kinds.items()}
    return RunDiversity(values, groups["embeddings"], counts)


def _measure_texts(group: list[Answer]) -> dict[str, float]:
    texts = [answer.text for answer in group]
    words = [text.split() for text in texts]
    return {"distinct-1": distinct_n(words, 1), "distinct-2": distinct_n(words, 2), "self-BLEU": self_bleu(texts)}


def _measure_programs(group: list[Answer]) -> dict[str, float]:
    programs = [answer.code for answer in group if answer.code is not None]
    return {"distinct programs": distinct_programs(programs), "effective programs": effective_programs(programs)}


def _measure_embeddings(rows: np.ndarray) -> dict[str, float]:
    return {"similarity": mean_similarity(rows), "Vendi score": vendi_score(rows)}


_MEASURE: dict[str, Callable[[Any], dict[str, float]]] = {
    "texts": _measure_texts,
    "programs": _measure_programs,
    "embeddings": _measure_embeddings,
}
