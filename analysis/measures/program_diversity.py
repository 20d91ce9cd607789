"""The number of different programs, ignoring layout, comments and the choice of names."""

import ast
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import entr  # -x log x, 0 at 0


def distinct_programs(programs: Sequence[str]) -> float:
    """Different programs after `normalise` per program: 1 when all differ. Raises ValueError without programs."""
    return len(_shares(programs)) / len(programs)


def effective_programs(programs: Sequence[str]) -> float:
    """The exponential of the entropy of the shares of normalised programs: 1 when all are equal, n when all differ.

    This is the Vendi score (`analysis.measures.embedding_diversity.vendi_score`) under the kernel "the same normalised
    program"; in ecology, the Hill number of order 1 (Hill 1973, "Diversity and Evenness"). Raises ValueError without
    programs.
    """
    return float(np.exp(entr(_shares(programs)).sum()))


def _shares(programs: Sequence[str]) -> np.ndarray:
    """The share of each different normalised program, [different programs]; they sum to 1."""
    if not programs:
        raise ValueError("no programs")
    return np.array(list(Counter(map(normalise, programs)).values())) / len(programs)


@lru_cache(4096)
def normalise(program: str) -> str:
    """A program without layout and comments, with its own names replaced; one that does not parse is kept, stripped.

    Names that the program binds (variables, arguments, functions, classes, aliases of imports) become v0, v1, ... in
    order of first appearance. The same name in two functions counts as one. Attributes, keywords of calls and names of
    modules are kept.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in the program
            tree = ast.parse(program)
        bound = {name for node in ast.walk(tree) for name in _bound_names(node)}
        return ast.unparse(_Renamer(bound).visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program.strip()


def _bound_names(node: ast.AST) -> list[str]:
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
    """Renames the bound names, in order of first appearance."""

    FIELDS = ("id", "arg", "name", "asname", "rest")

    def __init__(self, bound: set[str]):
        self._bound = bound
        self._new: dict[str, str] = {}

    def visit(self, node: ast.AST) -> ast.AST:
        fields = () if isinstance(node, ast.keyword) else self.FIELDS
        for field in fields:
            name = getattr(node, field, None)
            if name in self._bound and not (isinstance(node, ast.alias) and field == "name"):
                setattr(node, field, self._rename(name))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._rename(name) if name in self._bound else name for name in node.names]
        self.generic_visit(node)
        return node

    def _rename(self, name: str) -> str:
        return self._new.setdefault(name, f"v{len(self._new)}")
