"""Programs without their formatting and choice of names, and how many different ones there are."""

import ast
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import entr  # -x log x, 0 at 0


def distinct_programs(programs: Sequence[str]) -> float:
    """The share of programs that differ after `normalise`: 1 when all do. Raises ValueError when there are none."""
    return len(_frequencies(programs)) / len(programs)


def effective_programs(programs: Sequence[str]) -> float:
    """The exponential of the entropy of the frequencies of normalised programs: 1 when all are one, n when none are.

    The Vendi score (`analysis.measures.diversity.vendi_score`) under the kernel "the same normalised program"; in ecology the
    Hill number of order 1 (Hill 1973, "Diversity and Evenness"). Raises ValueError when there are none.
    """
    return float(np.exp(entr(_frequencies(programs)).sum()))


def _frequencies(programs: Sequence[str]) -> np.ndarray:
    """The shares of the different normalised programs, [different ones], which make 1."""
    if not programs:
        raise ValueError("no programs")
    return np.array(list(Counter(map(normalise, programs)).values())) / len(programs)


@lru_cache(4096)
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
