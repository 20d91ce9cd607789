"""How unlike the answers to a problem are: by embeddings, by n-grams, and by the programs themselves."""

import ast
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.answers import Answer, by_problem


def pairwise_similarities(embeddings: np.ndarray) -> np.ndarray:
    """Cosine similarities of all pairs of rows of an [n, d] array, each pair once, none with itself: n (n - 1) / 2.

    Raises ValueError for a row of zeros, which has no direction.
    """
    units = unit_rows(embeddings)
    above_diagonal = np.triu_indices(len(units), k=1)
    return (units @ units.T)[above_diagonal]


def mean_similarity(embeddings: np.ndarray) -> float:
    """The mean of `pairwise_similarities`, without making the pairs.

    The squared length of the sum of n unit vectors is n plus twice the sum over pairs. Raises ValueError for fewer
    than two rows.
    """
    units = unit_rows(embeddings)
    count = len(units)
    if count < 2:
        raise ValueError(f"{count} rows make no pair")
    total = units.sum(axis=0)
    return float((total @ total - count) / (count * (count - 1)))


def similarity_by_problem(problems: dict[int, np.ndarray]) -> np.ndarray:
    """`mean_similarity` of each problem that has two answers or more; `problems` holds [answers, d] of each."""
    return np.array([mean_similarity(rows) for rows in problems.values() if len(rows) > 1])


def similarity_over_all(problems: dict[int, np.ndarray], most: int = 2000, seed: int = 0) -> np.ndarray:
    """`pairwise_similarities` of the answers to all problems together; of `most` of them at random if they are more."""
    rows = np.concatenate(list(problems.values()))
    if len(rows) > most:
        rows = np.random.default_rng(seed).choice(rows, most, replace=False)
    return pairwise_similarities(rows)


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """The rows at length 1, in float64. Raises ValueError for a row of zeros."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError("a row of zeros has no direction")
    return np.asarray(embeddings, dtype=np.float64) / lengths


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


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams of all texts together, over the number of all their tokens; 0 when there are no tokens.

    Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", section 5: distinct-1
    and distinct-2, scaled by the number of tokens. It falls as texts get more, so compare equal numbers of them.
    """
    tokens = sum(map(len, texts))
    grams = {tuple(text[start : start + n]) for text in texts for start in range(len(text) - n + 1)}
    return len(grams) / tokens if tokens else 0.0


def distinct_programs(programs: Sequence[str]) -> float:
    """The share of programs that differ after `normalise`: 1 when all do. Raises ValueError when there are none."""
    if not programs:
        raise ValueError("no programs")
    return len({normalise(program) for program in programs}) / len(programs)


def programs_by_problem(answers: Sequence[Answer]) -> np.ndarray:
    """`distinct_programs` of each problem that has two programs or more."""
    groups = ([a.code for a in group if a.code is not None] for group in by_problem(list(answers)).values())
    return np.array([distinct_programs(programs) for programs in groups if len(programs) > 1])


def words_by_problem(answers: Sequence[Answer], n: int) -> np.ndarray:
    """`distinct_n` of the answers to each problem, their tokens being what blank space divides."""
    groups = by_problem(list(answers)).values()
    return np.array([distinct_n([answer.text.split() for answer in group], n) for group in groups])


def compare(runs: dict[str, list[Answer]], within: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A table's row for each run, means over problems; `within` holds the `similarity_by_problem` of each run."""
    return [
        {
            "run": run,
            "similarity": within[run].mean(),
            "distinct-1": words_by_problem(answers, 1).mean(),
            "distinct-2": words_by_problem(answers, 2).mean(),
            "distinct programs": programs_by_problem(answers).mean(),
        }
        for run, answers in runs.items()
    ]


def normalise(program: str) -> str:
    """A program without its formatting, its comments and its choice of names; one that does not parse, as it is.

    Names that the program gives (variables, arguments, functions, classes, aliases of imports) become v0, v1, ... in
    the order in which they first stand in it. The same name in two functions counts as one; attributes, keywords of
    calls and names of modules are kept.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the program are no concern of ours
            tree = ast.parse(program)
        given = {name for node in ast.walk(tree) for name in _names_given(node)}
        return ast.unparse(_Renamer(given).visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program.strip()


def _names_given(node: ast.AST) -> list[str]:
    """The names that a node of a program binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return [name]
        case ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
    return []


class _Renamer(ast.NodeVisitor):
    """Gives the given names their new ones, in the order of the source."""

    FIELDS = ("id", "arg", "name", "asname", "rest")

    def __init__(self, given: set[str]):
        self._given = given
        self._new: dict[str, str] = {}

    def visit(self, node: ast.AST) -> ast.AST:
        fields = () if isinstance(node, ast.keyword) else self.FIELDS
        for field in fields:
            name = getattr(node, field, None)
            if name in self._given and not (isinstance(node, ast.alias) and field == "name"):
                setattr(node, field, self._rename(name))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._rename(name) if name in self._given else name for name in node.names]
        self.generic_visit(node)
        return node

    def _rename(self, name: str) -> str:
        return self._new.setdefault(name, f"v{len(self._new)}")
