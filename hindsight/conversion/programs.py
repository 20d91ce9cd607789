"""Python in an answer: when a text is a program, its syntax tree, and the lines and code of a code block."""

import ast
import warnings

from hindsight.text.code_blocks import PYTHON, CodeBlock, looks_like_code
from hindsight.text.uniform_format import TAG

FENCES = ("```", "~~~")


def syntax_tree(code: str) -> ast.Module | None:
    """The syntax tree of Python code, None if it cannot be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown escapes in strings
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def syntax_text(code: str) -> str | None:
    """The syntax tree as text, free of layout and comments; None if the code cannot be parsed."""
    tree = syntax_tree(code)
    try:
        return None if tree is None else ast.dump(tree)
    except RecursionError:
        return None


def is_program(code: str) -> bool:
    """Whether a text is Python that does something: it imports, defines, reads or prints."""
    tree = syntax_tree(code)
    return tree is not None and any(
        isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"))
        for node in ast.walk(tree)
    )


def holds_program(block: CodeBlock) -> bool:
    """Whether a code block looks like code and is Python, by its fence or by its content."""
    return looks_like_code(block.code) and (block.language in PYTHON or is_program(block.code))


def block_code(block: CodeBlock) -> str:
    """The code of a block; an unclosed block ends at the first tag."""
    tag = None if block.closed else TAG.search(block.code)
    return block.code[: tag.start()] if tag else block.code


def code_line(line: str) -> str:
    """A line of code without trailing blanks and without a closing fence at its end."""
    return line.rstrip().removesuffix("```").rstrip()


def code_lines(text: str) -> list[str]:
    """The lines of a text that are neither blank nor a fence, each as `code_line` gives it."""
    lines = [code_line(line) for line in text.splitlines() if not line.lstrip().startswith(FENCES)]
    return [line for line in lines if line]
