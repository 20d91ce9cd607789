"""How unlike the answers to a problem are: by embeddings, by n-grams, and by the programs themselves.

    runs = load_runs()
    vectors = {run: load_embeddings(run_folder(run)) for run in runs}
    compare(runs, vectors)                      # rows of a table, a column a measure with its 95 % interval

or by parts: `measure` gives values per problem, `estimate_mean` of hindsight/pass_at_k/estimators.py their mean and its interval,
`difference` that of a paired difference of two runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.measures.distinct_programs import distinct_programs, effective_programs
from analysis.measures.ngrams import distinct_n, self_bleu
from analysis.measures.similarity import mean_similarity, pairwise_similarities, similarities_over_all, vendi_score
from analysis.reading.answers import Answer, by_problem
from hindsight.errors import UserError
from hindsight.pass_at_k.estimators import Estimate, draws, estimate_mean, in_order, percentile_interval

OVER_ALL = "similarity over all"
MEASURES = {
    "similarity": "mean cosine of the answers to a problem with each other; larger: less diverse",
    OVER_ALL: "mean cosine of any two answers, to whichever problems; larger: less diverse",
    "Vendi score": "effective number of different embeddings a problem, from 1 to its answers; larger: more diverse",
    "distinct-1": "different words for each word of the answers to a problem; larger: more diverse",
    "distinct-2": "different pairs of words for each word of the answers to a problem; larger: more diverse",
    "self-BLEU": "mean BLEU of an answer against the others to its problem, 0 to 1; larger: less diverse",
    "distinct programs": "share of programs that differ in more than names and layout; larger: more diverse",
    "effective programs": "effective number of different programs a problem, from 1 up; larger: more diverse",
}

Values = dict[int, float]
Vectors = Mapping[tuple[int, int], np.ndarray]
Watch = Callable[[Iterable], Iterable]


@dataclass(frozen=True)
class Measured:
    """The measures of one run.

    values: by measure and problem. stacked: embeddings, [answers, d] by problem. counts: the answers that measures of
    texts, programs and embeddings rest on.
    """

    values: dict[str, Values]
    stacked: dict[int, np.ndarray]
    counts: dict[str, int]

    def estimates(self) -> dict[str, Estimate]:
        """Each measure's mean and interval, in the order of MEASURES; those without values are left out."""
        found = {name: estimate_mean(values) for name, values in self.values.items()}
        if self.stacked:
            found[OVER_ALL] = interval_over_all(self.stacked)
        return {name: found[name] for name in MEASURES if name in found}

    def minus(self, other: "Measured") -> dict[str, Estimate]:
        """Each measure's paired difference on the problems of both, with its interval."""
        found = {name: difference(values, other.values[name]) for name, values in self.values.items()}
        if self.stacked:
            found[OVER_ALL] = interval_over_all(self.stacked, other.stacked)
        return {name: found[name] for name in MEASURES if name in found}


def compare(runs: dict[str, list[Answer]], vectors: dict[str, Vectors] | None = None) -> list[dict[str, Any]]:
    """A table's row for each run, a column a measure as "0.812 [0.790, 0.833]": as `measure_alike`."""
    measured = measure_alike(runs, vectors)
    return [
        {"run": run, **{name: str(estimate) for name, estimate in each.estimates().items()}}
        for run, each in measured.items()
    ]


def measure_alike(
    runs: dict[str, list[Answer]], vectors: dict[str, Vectors] | None = None, watch: Watch = iter
) -> dict[str, Measured]:
    """The measures of runs on what can be compared: the same problems, and the same number of answers to each.

    With more answers distinct-n and the share of distinct programs fall, self-BLEU, Vendi score and effective programs
    rise. So each problem is measured on the first answers of every run, as many as the run with the fewest has; one for
    which a run has fewer than two is left out. For programs and for embeddings the same is done with the answers that
    have one. The measures of embeddings need `vectors` of every run, and are left out without. `watch` is given what is
    gone through, for a progress bar. Raises UserError when no problem has two answers of every run.
    """
    kinds = {run: _kinds(answers, (vectors or {}).get(run)) for run, answers in runs.items()}
    cut = {kind: alike({run: kinds[run][kind] for run in runs}) for kind in _MEASURED_BY}
    if not all(cut["texts"].values()):
        raise UserError("no problem has two answers of every run")
    return {run: _measure({kind: cut[kind][run] for kind in cut}, (vectors or {}).get(run), watch) for run in runs}


def difference_table(measured: dict[str, Measured], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """A table's row for each measure, a column for each pair of runs: the paired difference and its interval."""
    found = {f"{one} - {other}": measured[one].minus(measured[other]) for one, other in pairs}
    names = next(iter(found.values()))
    return [
        {"measure": name, **{pair: differences[name].text("+") for pair, differences in found.items()}}
        for name in names
    ]


def measure(answers: Sequence[Answer], vectors: Vectors | None = None) -> dict[str, Values]:
    """The measures of a run by problem, but for the one over all; those without any value are left out.

    Problems with fewer than two answers are left out, and with fewer than two programs or embeddings out of their
    measures. `vectors` holds embeddings, [d] each, by (question_id, sample_index). Values of runs with unequal numbers
    of answers cannot be compared: see `measure_alike`.
    """
    return _measure(_kinds(answers, vectors), vectors, iter).values


def alike(runs: dict[str, list[Answer]]) -> dict[str, list[Answer]]:
    """Of each problem the first answers of each run, as many as the run with the fewest has, where these are two."""
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
    """One run's values minus another's, paired: on the problems of both. Raises ValueError when there are none."""
    return estimate_mean({question: one[question] - other[question] for question in one if question in other})


def interval_over_all(problems: dict[int, np.ndarray], less: dict[int, np.ndarray] | None = None) -> Estimate:
    """The mean cosine of all pairs of a run's answers with its interval; `less` that of another run on these problems.

    `problems` holds [answers, d] of each, at least two answers. The bootstrap is over problems, as everywhere, see
    `similarities_over_all`; both runs of a difference have the same draws.
    """
    count, problems = len(problems), {question: problems[question] for question in in_order(problems)}
    weights = np.concatenate([np.ones((1, count)), draws(count)])
    found = similarities_over_all(problems, weights)
    if less is not None:
        found = found - similarities_over_all({question: less[question] for question in problems}, weights)
    low, high = percentile_interval(found[1:], count)
    return Estimate(float(found[0]), float(low), float(high), count)


def _kinds(answers: Sequence[Answer], vectors: Vectors | None) -> dict[str, list[Answer]]:
    """All answers, those with a program and those with an embedding."""
    return {
        "texts": list(answers),
        "programs": [answer for answer in answers if answer.code is not None],
        "embeddings": [answer for answer in answers if vectors and _key(answer) in vectors],
    }


def _key(answer: Answer) -> tuple[int, int]:
    return answer.question_id, answer.sample_index


def _measure(kinds: dict[str, list[Answer]], vectors: Vectors | None, watch: Watch) -> Measured:
    """The measures of what `_kinds` gives."""
    groups: dict[str, dict[int, Any]] = {
        kind: {question: group for question, group in by_problem(answers).items() if len(group) > 1}
        for kind, answers in kinds.items()
    }
    for question, group in groups["embeddings"].items():
        groups["embeddings"][question] = np.stack([vectors[_key(answer)] for answer in group])
    values: dict[str, Values] = {name: {} for name in MEASURES}
    for kind, problems in groups.items():
        for question, group in watch(problems.items()):
            for name, value in _MEASURED_BY[kind](group).items():
                values[name][question] = value
    counts = {kind: len(answers) for kind, answers in kinds.items()}
    return Measured({name: found for name, found in values.items() if found}, groups["embeddings"], counts)


def _of_texts(group: list[Answer]) -> dict[str, float]:
    texts = [answer.text for answer in group]
    words = [text.split() for text in texts]
    return {"distinct-1": distinct_n(words, 1), "distinct-2": distinct_n(words, 2), "self-BLEU": self_bleu(texts)}


def _of_programs(group: list[Answer]) -> dict[str, float]:
    programs = [answer.code for answer in group]
    return {"distinct programs": distinct_programs(programs), "effective programs": effective_programs(programs)}


def _of_embeddings(rows: np.ndarray) -> dict[str, float]:
    return {"similarity": mean_similarity(rows), "Vendi score": vendi_score(rows)}


_MEASURED_BY = {"texts": _of_texts, "programs": _of_programs, "embeddings": _of_embeddings}


def similarity_by_problem(problems: dict[int, np.ndarray]) -> np.ndarray:
    """`mean_similarity` of each problem that has two answers or more; `problems` holds [answers, d] of each."""
    return np.array([mean_similarity(rows) for rows in problems.values() if len(rows) > 1])


def similarity_over_all(problems: dict[int, np.ndarray], most: int = 2000, seed: int = 0) -> np.ndarray:
    """`pairwise_similarities` of the answers to all problems together; of `most` of them at random if they are more."""
    rows = np.concatenate(list(problems.values()))
    if len(rows) > most:
        rows = np.random.default_rng(seed).choice(rows, most, replace=False)
    return pairwise_similarities(rows)


def principal_components(embeddings: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an [n, d] array on its first principal components, [n, count], and their shares of the variance.

    Pearson 1901, "On Lines and Planes of Closest Fit", by the singular value decomposition of the centred rows.
    """
    centred = embeddings - embeddings.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    variances = sizes**2
    shares = variances / variances.sum() if variances.sum() else variances
    return (left * sizes)[:, :count], shares[:count]


def joint_components(groups: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The first two principal components of all groups' rows together: [n, 2] by group, and the shares of variance."""
    points, shares = principal_components(np.concatenate(list(groups.values())))
    ends = np.cumsum([len(rows) for rows in groups.values()])
    return dict(zip(groups, np.split(points, ends[:-1]), strict=True)), shares
