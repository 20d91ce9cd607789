"""Fenced code blocks of a text, and the one that holds the program."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hindsight.text.uniform_format import CACHED, find_tags

PYTHON = ("python", "python3", "py", "py3")
_SOLUTION_START = re.compile(
    r"(?:(?:<\|?|\[)end_of_(?:slow_)?thought(?:\|?>|\])|</think>)\s*(?:<\|?|\[)begin_of_solution(?:\|?>|\])"
)
_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_CODE = re.compile(r"[=(\[{]|^[ \t]*(?:import|from|def|class|for|while|if|return|print)\b", re.MULTILINE)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block: `start` and `end` are offsets of the whole block, fences included, in the text.

    `language` is the first word after the opening fence, in lower case; `closed`: it has a closing fence.
    """

    code: str
    language: str
    fence: str
    start: int
    end: int
    closed: bool


def fenced(code: str) -> str:
    """A program in a code block."""
    return f"```python\n{code.strip()}\n```"


@lru_cache(CACHED)
def find_code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """Fenced code blocks in order (CommonMark 4.5): backticks or tildes, closed by at least as many of the same.

    An unclosed block extends to the end of the text. The info string of a backtick fence has no backtick. Unlike
    CommonMark's, an opening fence may be indented by a list. Its code is then dedented as much, and its closing fence
    is indented less than four columns more; a fence indented further belongs to the code.
    """
    blocks: list[CodeBlock] = []
    opening = None
    for match in _FENCE.finditer(text):
        fence, info = match["fence"], match["info"].rstrip("\r")
        if opening is None:
            if fence[0] == "~" or "`" not in info:
                opening = match
        elif (
            fence[0] == opening["fence"][0]
            and len(fence) >= len(opening["fence"])
            and not info.strip()
            and _width(match["indent"]) < _width(opening["indent"]) + 4
        ):
            blocks.append(_block(text, opening, match.start(), match.end(), closed=True))
            opening = None
    if opening is not None:
        blocks.append(_block(text, opening, len(text), len(text), closed=False))
    return tuple(blocks)


def final_block(blocks: Sequence[CodeBlock]) -> CodeBlock | None:
    """The block that holds the program of a solution: the last one marked as Python, or else the last one.

    Answers often show a program's input and output in a block after it. So a block without a bracket, an equals sign
    or a statement does not count as a program while there is another, even if its fence names Python.
    """
    code = [block for block in blocks if looks_like_code(block.code)]
    python = [block for block in code if block.language in PYTHON]
    return (python or code or blocks or [None])[-1]


def looks_like_code(text: str) -> bool:
    """Whether a text has a bracket, an equals sign, or a line that begins with a word of Python's."""
    return _CODE.search(text) is not None


def extract_code(converted_text: str) -> str | None:
    """The program of a converted answer: the final block of its solution section, None if there is none.

    The section starts at the last solution tag that directly follows the end of a thought, or else at the last
    solution tag, so that a thought with a code block left open hides nothing.
    """
    starts = [match.end() for match in _SOLUTION_START.finditer(converted_text)]
    if not starts:
        starts = [tag.end for tag in find_tags(converted_text) if tag.opens("solution")]
    if not starts:
        return None
    block = final_block(find_code_blocks(converted_text[starts[-1] :]))
    if block is None or block.closed:
        return block.code if block else None
    return block.code[: next((tag.start for tag in find_tags(block.code)), None)]


def _block(text: str, opening: re.Match, code_end: int, end: int, closed: bool) -> CodeBlock:
    code = text[opening.end() + 1 : code_end]
    if opening["indent"]:
        code = re.sub(rf"^[ \t]{{0,{len(opening['indent'])}}}", "", code, flags=re.MULTILINE)
    language = (opening["info"].split() or [""])[0].lower()
    return CodeBlock(code, language, opening["fence"], opening.start(), end, closed)


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))
