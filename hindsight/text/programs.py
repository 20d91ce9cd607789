"""Python in an answer: its syntax tree, and what a program defines, needs, reads and prints."""

import ast
import builtins
import re
import symtable
import warnings
from collections.abc import Iterator
from functools import cached_property, lru_cache

from hindsight.text.uniform_format import CACHED

_GIVEN = frozenset(dir(builtins)) | {"__file__", "__name__"}
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_STANDARD_INPUT = ("stdin", "fileinput")
_STANDARD_OUTPUT = ("print", "stdout")
_INPUT_WORD = re.compile("input|stdin|open|read")
_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.:?|In ?\[\d*\]:)(?: (.*)|$)")  # of the interpreter, or of IPython
_LEFT_OUT = re.compile(r"[ \t]*#[ \t]*(?:\.\.\.|…)")  # "# ... as above" in place of code


def syntax_tree(code: str) -> ast.Module | None:
    """The syntax tree of Python code, None if it cannot be parsed."""
    tree = _parse(code)
    return tree if isinstance(tree, ast.Module) else None


def syntax_error_line(code: str) -> int | None:
    """The line, counted from 1, at which parsing Python code fails; None if it can be parsed."""
    error = _parse(code)
    return None if isinstance(error, ast.Module) else error[1]


def transcript_input(text: str) -> str:
    """What was typed in a transcript of the interpreter, or of IPython, without its prompts and output."""
    prompts = filter(None, map(_PROMPT.match, text.splitlines()))
    return "".join(f"{prompt[1] or ''}\n" for prompt in prompts)


def last_line_that_acts(code: str) -> int:
    """The last line of code that does something, unlike `Done` or `Output: 3`, which also parse; 0 if none does."""
    tree = syntax_tree(code)
    statements = list(tree.body) if tree else []
    while statements and _is_idle(statements[-1]):
        statements.pop()
    return (statements[-1].end_lineno or 0) if statements else 0


def does_nothing(line: str) -> bool:
    """Whether a line can be parsed as Python but does nothing, as `Done` or `[PYTHON]`."""
    return syntax_tree(line) is not None and last_line_that_acts(line) == 0


def has_words_at_ends(code: str) -> bool:
    """Whether the first or the last statement of Python code is a word that happens to be Python: it names nothing."""
    facts, tree = program_facts(code), syntax_tree(code)
    ends = [node for node in (tree.body[:1] + tree.body[-1:] if tree else []) if _is_idle(node)]
    named = {each.id for node in ends for each in ast.walk(node) if isinstance(each, ast.Name)}
    return bool(named) and facts is not None and not named.isdisjoint(facts.names[1])


def _is_idle(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Name | ast.Attribute | ast.Constant | ast.List) or _is_complexity(value)


def _is_complexity(node: ast.expr | None) -> bool:
    """Whether an expression is `O(n)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "O"


def ends_in_string(code: str) -> bool:
    """Whether code cannot be parsed because it ends within a string of several lines."""
    error = _parse(code)
    return not isinstance(error, ast.Module) and "unterminated triple-quoted" in error[0]


@lru_cache(CACHED)
def _parse(code: str) -> ast.Module | tuple[str, int]:
    """The syntax tree, or why there is none and in which line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown escapes in strings
        while True:
            try:
                return ast.parse(code.removeprefix("\ufeff"))  # as an interpreter reads a file
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                return str(error), getattr(error, "lineno", None) or 1
            except SystemError:  # Python 3.11's parser counts the depth of all threads together (cpython#106905)
                continue


def syntax_text(code: str) -> str | None:
    """The syntax tree as text, free of layout and comments; None if the code cannot be parsed."""
    tree = syntax_tree(code)
    try:
        return None if tree is None else ast.dump(tree)
    except RecursionError:
        return None


@lru_cache(CACHED)
def is_program(code: str) -> bool:
    """Whether a text is Python that does something: it imports, defines, reads or prints."""
    tree = syntax_tree(code)
    return tree is not None and any(
        isinstance(node, ast.Import | ast.ImportFrom | _DEFINITIONS)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"))
        for node in ast.walk(tree)
    )


class ProgramFacts:
    """What a program does; each fact is computed when it is first needed."""

    def __init__(self, code: str, tree: ast.Module):
        self._code, self._tree = code, tree
        self._may_read = _INPUT_WORD.search(code) is not None

    @cached_property
    def functions(self) -> frozenset[str]:
        """What can be called by name, the methods of its classes included."""
        return frozenset(_functions(self._tree))

    @cached_property
    def stubs(self) -> frozenset[str]:
        """The functions that it declares without a body: with no more than a stub has (see `_is_stub`), or with "..."
        in place of code, also in a comment; and methods without their class."""
        lines = self._code.splitlines()
        return frozenset(
            node.name
            for node in ast.walk(self._tree)
            if isinstance(node, ast.FunctionDef)
            and (
                _is_stub(node)
                or _is_bare_method(node, self._tree)
                or any(map(_LEFT_OUT.match, lines[node.lineno : node.end_lineno]))
            )
        )

    @cached_property
    def ending(self) -> frozenset[str]:
        """The functions whose last statement returns or raises, in each of its branches."""
        functions = [node for node in ast.walk(self._tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        return frozenset(node.name for node in functions if _ends(node.body))

    @cached_property
    def returning(self) -> frozenset[str]:
        """The functions that return or yield something."""
        functions = [node for node in ast.walk(self._tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        return frozenset(node.name for node in functions if any(map(_returns, ast.walk(node))))

    @cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names that its module defines ("*" for a star import), and those that it uses without defining them."""
        return _names(self._code, self._tree)

    @cached_property
    def reads(self) -> bool:
        """Whether it reads standard input when it is run, not only in functions that nothing calls."""
        return self._may_read and any(map(_reads, _nodes_run(self._tree)))

    @cached_property
    def prints(self) -> bool:
        """Whether it writes to standard output when it is run."""
        return any(map(_prints, _nodes_run(self._tree)))

    @cached_property
    def mentions_input(self) -> bool:
        """Whether it reads standard input anywhere."""
        return self.reads or (self._may_read and any(map(_reads, ast.walk(self._tree))))

    @cached_property
    def mentions_output(self) -> bool:
        """Whether it writes to standard output anywhere."""
        return any(map(_prints, ast.walk(self._tree)))

    @cached_property
    def calls(self) -> bool:
        """Whether a top-level statement is a call."""
        statements = _statements(self._tree.body)
        return any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in statements)


@lru_cache(CACHED)
def program_facts(code: str) -> ProgramFacts | None:
    """What a program does; None if it cannot be parsed."""
    tree = syntax_tree(code)
    return None if tree is None else ProgramFacts(code, tree)


def _statements(block: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module's block, and of the ifs and tries in it."""
    for node in block:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _functions(tree: ast.Module) -> Iterator[str]:
    for node in _statements(tree.body):
        if isinstance(node, _DEFINITIONS):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (each.name for each in node.body if isinstance(each, ast.FunctionDef))
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name) and _may_call(node.value))


def _is_stub(function: ast.FunctionDef) -> bool:
    """Whether a function has `...` among its statements, or only `pass`, texts and `raise NotImplementedError`."""
    return any(isinstance(each, ast.Expr) and _is_ellipsis(each.value) for each in function.body) or all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Raise) and each.exc is not None and "NotImplementedError" in ast.dump(each.exc))
        for each in function.body
    )


def _is_bare_method(function: ast.FunctionDef, tree: ast.Module) -> bool:
    return function in tree.body and [each.arg for each in function.args.args[:1]] == ["self"]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _ends(body: list[ast.stmt]) -> bool:
    """Whether the last statement of a block leaves the function, in each of its branches."""
    last = body[-1] if body else None
    if isinstance(last, ast.If):
        return _ends(last.body) and _ends(last.orelse)
    if isinstance(last, ast.With | ast.Try):
        return _ends(last.body)
    endless = isinstance(last, ast.While) and isinstance(last.test, ast.Constant) and bool(last.test.value)
    return endless or isinstance(last, ast.Return | ast.Raise)


def _returns(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield | ast.YieldFrom) or (isinstance(node, ast.Return) and node.value is not None)


def _may_call(value: ast.expr) -> bool:
    """Whether an assigned value may be a function: a lambda, a name, or what a call returns."""
    return isinstance(value, ast.Lambda | ast.Name | ast.Attribute | ast.Call)


def _names(code: str, tree: ast.Module) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a program's module defines, and those that it uses without defining them."""
    try:
        tables = [symtable.symtable(code.removeprefix("\ufeff"), "program", "exec")]
    except (SyntaxError, ValueError, RecursionError):
        return frozenset(), frozenset()
    for table in tables:
        tables.extend(table.get_children())
    module = tables[0]
    defined = {each.get_name() for each in module.get_symbols() if each.is_assigned() or each.is_imported()}
    used: set[str] = set()
    for table in tables:
        for each in table.get_symbols():
            if each.is_declared_global() and each.is_assigned():
                defined.add(each.get_name())
            if each.is_referenced() and (table is module or each.is_global()):
                used.add(each.get_name())
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in tree.body):
        return frozenset(defined | {"*"}), frozenset()
    return frozenset(defined), frozenset(used - defined - _GIVEN)


def _nodes_run(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes of the statements that run: those of the module, and of the definitions that these name."""
    definitions = {node.name: node for node in tree.body if isinstance(node, _DEFINITIONS)}
    todo: list[ast.AST] = [node for node in tree.body if not isinstance(node, _DEFINITIONS)]
    while todo:
        for node in ast.walk(todo.pop()):
            yield node
            if isinstance(node, ast.Name) and node.id in definitions:
                todo.append(definitions.pop(node.id))


def _reads(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ("input", "raw_input", *_STANDARD_INPUT)
    if isinstance(node, ast.Attribute):
        return node.attr in _STANDARD_INPUT
    return _is_file(node, 0, "/dev/stdin", "read")


def _prints(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _STANDARD_OUTPUT
    if isinstance(node, ast.Attribute):
        return node.attr in _STANDARD_OUTPUT
    return _is_file(node, 1, "/dev/stdout", "write")


def _is_file(node: ast.AST, number: int, path: str, verb: str) -> bool:
    """Whether a node is `open(0)`, `open("/dev/stdin")` or `os.read(0, ...)`; 1, stdout and `os.write` likewise."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    first, function = node.args[0].value, node.func
    if isinstance(function, ast.Name):
        return function.id == "open" and (first is not False and first in (number, path))
    return isinstance(function, ast.Attribute) and function.attr in (verb, "fdopen") and first == number
