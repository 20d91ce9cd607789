"""Reads answers that are code alone: those to the prompts of a PROMPT_STYLE, which need no thought and no model.

A record says what its answer continues:

    {"prompt_style": "evalplus", "continues": "def add(a, b):\\n", "generated_text": "    return a + b\\n\\n", ...}
    {"prompt_style": "evalplus", "continues": "This ...:\\n```python\\n", "generated_text": "def add ...", ...}
    {"prompt_style": "evalplus_openai", "continues": "", "generated_text": "Here it is:\\n```python\\ndef add ...", ...}
    {"prompt_style": "few_shot", "continues": "[BEGIN]\\n", "generated_text": "def add(a, b):\\n    return ...", ...}

In the first record the program is the prompt and the completion, up to the first stop word. In the second it is the
code block that the prompt began, or, if the server started a new answer, that answer's own block. In the last it is the
answer up to [DONE], or a code block in it. Like EvalPlus's sanitizer (`sanitize.py`), which made the programs of
published figures, this module keeps only

- the lines up to where the text stops being code, if they define the function, so that a truncated end does no harm;
- the imports, and what the function needs: no tests or calls after it, and of a function that is defined twice the
  first definition that returns something.
"""

import ast
from collections.abc import Iterator
from typing import Any

from hindsight.conversion.conversions import Conversion, RawAnswer
from hindsight.conversion.reader import read
from hindsight.conversion.sections import Sections, Undecided
from hindsight.text import few_shot
from hindsight.text.code_blocks import fenced
from hindsight.text.program_choice import choose_program
from hindsight.text.programs import program_facts, syntax_error_line, syntax_tree

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
TAB = "    "  # EvalPlus replaces every tab with it; here only if the program cannot be parsed otherwise


def convert_code_alone(answer: RawAnswer) -> Conversion:
    """The conversion of an answer to a prompt that asks for code alone. Raises Undecided for one without a program."""
    thought, code, rule = _find_code(answer)
    if not code.strip() or not answer.text.strip():
        raise Undecided("it holds no program", lost=True)
    program, tabs = _beginning_that_defines(code, answer.target.function)
    kept = needed_lines(program, answer.target.function)
    solution = fenced(kept)
    if (choose_program(solution, answer.target).program or "").strip() != kept.strip():
        raise Undecided("its code cannot be put in a code block", lost=True)
    details: dict[str, Any] = {"how": "rules", "rule": rule}
    left_out = len(code.strip()) + (len(TAB) - 1) * tabs - len(kept.strip())
    counts = {"left_out": left_out, "tabs": tabs, "special_tokens": answer.dropped}
    return Conversion(
        Sections(thought, solution, rule), details | {name: count for name, count in counts.items() if count > 0}
    )


def _find_code(answer: RawAnswer) -> tuple[str, str, str]:
    """The thought, the code and the rule by which it was found."""
    text, target = before_stop_word(answer.text, answer.stop), answer.target
    if answer.continues == few_shot.BEGIN:
        own = choose_program(text, target)
        return "", own.program if own.fits and own.program else text, "program between [BEGIN] and [DONE]"
    if answer.continues and not answer.continues.rstrip().endswith("```python"):
        return "", answer.continues + text, "completion of the prompt"
    if answer.continues:
        whole = choose_program(answer.continues + text, target)
        own = choose_program(text, target)
        if own.fits and own.blocks and not whole.fits:
            return "", own.program or "", "code block of its own"
        if whole.program is not None:
            return "", whole.program, "code block that the prompt began"
        return "", text, "code block that the prompt began"
    try:
        sections = read(text, answer.finished, thought_open=answer.thought_open, target=target)
    except Undecided as error:
        if error.lost:
            raise
        sections = Sections("", text, "code alone")
    return sections.thought, choose_program(sections.solution, target).program or "", sections.rule


def before_stop_word(text: str, stop: tuple[str, ...]) -> str:
    """A text up to the first of the stop words, which a server may have left in it."""
    places = [place for word in stop if (place := text.find(word)) >= 0]
    return text[: min(places, default=len(text))]


def _beginning_that_defines(code: str, function: str | None) -> tuple[str, int]:
    """The beginning of code that can be parsed, if it defines the function, else the code; and the tabs replaced."""
    found, replaced = parsed_beginning(code), 0
    if found != code and "\t" in code:
        spaced = parsed_beginning(code.replace("\t", TAB))
        if spaced.count("\n") > found.count("\n"):
            found, replaced = spaced, code.count("\t")
    facts = program_facts(found)
    defines = facts is not None and bool(found.strip()) and (function is None or function in facts.functions)
    return (found, replaced) if defines else (code, 0)


def parsed_beginning(code: str) -> str:
    """The longest beginning of code, in whole lines, that can be parsed."""
    lines = code.split("\n")
    size = len(lines)
    while size and (line := syntax_error_line("\n".join(lines[:size]))) is not None:
        size = min(size, line) - 1
    return "\n".join(lines[:size])


def needed_lines(program: str, function: str | None) -> str:
    """A program without the statements that its function does not need; unchanged if it lacks the function."""
    tree = syntax_tree(program)
    definitions = _chosen_definitions(tree) if tree else {}
    if tree is None or function is None or function not in definitions:
        return program
    kept = list(_needed(tree, definitions, function))
    if all(node in kept or _is_text(node) for node in tree.body):
        return program
    lines = program.split("\n")
    return "\n".join("\n".join(lines[_first_line(node) - 1 : node.end_lineno]) for node in kept)


def _chosen_definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    """The definition of each name that counts: the first that returns something, else the first."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, DEFINITIONS):
            first = found.setdefault(node.name, node)
            if not _returns(first) and _returns(node):
                found[node.name] = node
    return found


def _returns(node: ast.stmt) -> bool:
    """Whether a definition is a class, or a function that returns or yields something."""
    results = (ast.Return, ast.Yield, ast.YieldFrom)
    return isinstance(node, ast.ClassDef) or any(isinstance(each, results) for each in ast.walk(node))


def _needed(tree: ast.Module, definitions: dict[str, ast.stmt], function: str) -> Iterator[ast.stmt]:
    """The statements that the function needs, in order: imports, and definitions of names used, directly or not."""
    names, todo = {function}, [definitions[function]]
    others = [node for node in tree.body if not isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom))]
    used: set[ast.stmt] = set()
    while todo:
        node = todo.pop()
        used.add(node)
        names |= _names(node, ast.Load) - (_own_names(node) if isinstance(node, DEFINITIONS) else set())
        wanted = [definitions[name] for name in names & definitions.keys()]
        wanted += [each for each in others if names & (_names(each, ast.Store) | _changed(each))]
        todo += [each for each in wanted if each not in used and each not in todo]
    return (node for node in tree.body if node in used or isinstance(node, ast.Import | ast.ImportFrom))


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """The names that are used (Load) or set (Store) in a node; imports set names too."""
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, context)}
    if context is ast.Store:
        imports = [each for each in ast.walk(node) if isinstance(each, ast.Import | ast.ImportFrom)]
        found |= {(alias.asname or alias.name).split(".")[0] for each in imports for alias in each.names}
        found |= {each.name for each in ast.walk(node) if isinstance(each, DEFINITIONS)}
    return found


def _own_names(node: ast.AST) -> set[str]:
    """The names that are local to a definition: its arguments, and what it sets, except for globals."""
    arguments = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    shared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
    return (_names(node, ast.Store) | arguments) - shared


def _changed(node: ast.stmt) -> set[str]:
    """The names whose items or attributes a statement of the module sets, as in `cache[0] = 1`."""
    places = [each for each in ast.walk(node) if isinstance(each, ast.Subscript | ast.Attribute)]
    stored = [each.value for each in places if isinstance(each.ctx, ast.Store)]
    return {each.id for each in stored if isinstance(each, ast.Name)}


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is only a text, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _first_line(node: ast.stmt) -> int:
    """The line in which a statement begins, its decorators included."""
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
