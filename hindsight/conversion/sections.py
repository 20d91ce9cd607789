"""What the two parts of an answer are, when a tag in them is structure, and when a text is a program.

A *section* is a text in which every tag is only quoted. A tag is quoted in a closed code block, or with other text on
both sides on its line; elsewhere it is structure.
"""

import ast
import warnings
from dataclasses import dataclass, field

from hindsight.text.code_blocks import CodeBlock, find_code_blocks
from hindsight.text.uniform_format import TAG, Tag, find_tags


@dataclass(frozen=True)
class Sections:
    """The two parts of an answer, without their tags and without the blank space around them.

    `rule` says how they were found; `left_out` is what of the raw answer is in neither, beside tags and headings.
    """

    thought: str
    solution: str
    rule: str = field(default="", compare=False)
    left_out: str = field(default="", compare=False)


class Unread(Exception):
    """An answer that no rule can decide; the message says why. `lost`: it has no end or no program, so nobody can."""

    def __init__(self, reason: str, lost: bool = False):
        super().__init__(reason)
        self.lost = lost


def structure(text: str) -> list[Tag]:
    """The tags of a text that are not quoted: outside of closed code blocks, at the start or the end of a line."""
    tags = find_tags(text)
    blocks = [block for block in find_code_blocks(text) if block.closed] if tags else []
    return [tag for tag in tags if at_edge_of_line(text, tag) and not within(blocks, tag.start)]


def is_program(code: str) -> bool:
    """Whether a text is Python that does something: imports, defines, reads or prints."""
    tree = syntax_tree(code)
    return tree is not None and any(
        isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"))
        for node in ast.walk(tree)
    )


def syntax_tree(code: str) -> ast.Module | None:
    """The syntax tree of Python code, None when it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in strings
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def dump(code: str) -> str | None:
    """The syntax tree of Python code as text, without its layout and comments; None when it has none."""
    tree = syntax_tree(code)
    try:
        return None if tree is None else ast.dump(tree)
    except RecursionError:
        return None


def within(blocks: list[CodeBlock], place: int) -> bool:
    """Whether a place in a text lies in one of the code blocks."""
    return any(block.start <= place < block.end for block in blocks)


def at_edge_of_line(text: str, tag: Tag) -> bool:
    """Whether nothing but blank space and other tags is before the tag on its line, or nothing after it."""
    start, end = text.rfind("\n", 0, tag.start) + 1, text.find("\n", tag.end)
    before, after = text[start : tag.start], text[tag.end : end if end >= 0 else len(text)]
    return not TAG.sub("", before).strip() or not TAG.sub("", after).strip()
