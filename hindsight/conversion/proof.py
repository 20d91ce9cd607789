"""Proof that a conversion changed nothing: its sections hold the answer's words in order, and the answer's program.

    prove(answer, sections, min_kept=0.9, max_new=10)
    # {"kept": 0.993, "new": 2, "code": "equal"}

`kept` is the share of the answer's words that the two sections have in the same order, by the longest common
subsequence; `new` counts words of theirs beyond these. Words are what blank space parts; tags and fences are none.
"""

import re
from collections.abc import Sequence
from textwrap import dedent
from typing import Any

from hindsight.conversion.reader import is_plain
from hindsight.conversion.sections import Sections, dump, syntax_tree
from hindsight.text.code_blocks import CodeBlock, final_block, find_code_blocks
from hindsight.text.uniform_format import TAG

FENCES = ("```", "~~~")
_FENCE_WORD = re.compile(r"(?<!\S)(?:```|~~~)\S*")
_OPENING_FENCE = re.compile(r"^[ \t]*(?:```|~~~)\w[^`\n]*$", re.MULTILINE)


class NotKept(Exception):
    """A conversion that is not what the answer says; the message is the reason, in words for a model too."""


def prove(answer: str, sections: Sections, min_kept: float, max_new: int) -> dict[str, Any]:
    """The figures of a conversion that may be kept: see the module. Raises NotKept for any other.

    `code`: "equal" to that of a code block of the answer, as a syntax tree or, where it has none, as text; "not in a
    code block" of it, or "in a broken code block", but there line by line, and all of it; "none".
    """
    if not is_plain(sections):
        raise NotKept("the sections hold tags that make them unreadable")
    code = compare_code(answer, sections.solution)
    kept, new = compare_words(answer, sections)
    if kept < min_kept:
        raise NotKept(f"only {kept:.0%} of the answer's words are kept")
    if new > max_new:
        raise NotKept(f"{new} words are not the answer's")
    return {"kept": round(kept, 4), "new": new, "code": code}


def compare_words(answer: str, sections: Sections) -> tuple[float, int]:
    """The share of the answer's words that the sections keep in order, and the number of theirs that are new.

    Where the answer has its solution first, its order is that.
    """
    whole, thought, solution = words(answer), words(sections.thought), words(sections.solution)
    if whole == thought + solution:
        return 1.0, 0
    common = max(common_words(whole, thought + solution), common_words(whole, solution + thought))
    return common / max(len(whole), 1), len(thought) + len(solution) - common


def words(text: str) -> list[str]:
    """The words of a text, without tags and code fences."""
    return _FENCE_WORD.sub(" ", TAG.sub(" ", text)).split()


def common_words(first: list[str], second: list[str]) -> int:
    """The length of the longest common subsequence, with a bit for each word of the first.

    After Hyyrö, Bit-parallel LCS-length computation revisited (2004): a zero in `row` is a step of the matrix's row.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    row = everything = (1 << len(first)) - 1
    for word in second:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & everything
    return len(first) - row.bit_count()


def compare_code(answer: str, solution: str) -> str:
    """How the solution's program is that of the answer: see `prove`. Raises NotKept when it is another one."""
    block = final_block(find_code_blocks(solution))
    if block is None:
        return "none"
    program, blocks = code_of(block), find_code_blocks(answer)
    codes = [code_of(each) for each in blocks]
    if _is_among(program, codes) or _is_among(program, _codes_from_each_fence(answer)):
        return "equal"
    lines = _lines(program)
    if any(not syntax_tree(code) and _is_whole(lines, _lines(code), anywhere=False) for code in codes):
        return "in a broken code block"
    if _is_whole(lines, _lines(_outside(answer, blocks)), anywhere=True):
        return "not in a code block"
    raise NotKept("the program is not one of the answer's")


def code_of(block: CodeBlock) -> str:
    """A block's code; that of a block which is not closed ends at a tag."""
    tag = None if block.closed else TAG.search(block.code)
    return block.code[: tag.start()] if tag else block.code


def _is_among(program: str, codes: list[str]) -> bool:
    if program.strip() in [code.strip() for code in codes]:
        return True
    tree = dump(program) if codes else None
    return tree is not None and any(dump(code) == tree for code in codes)


def _codes_from_each_fence(answer: str) -> list[str]:
    """The code behind every fence that names a language: a fence left open before it hides a block."""
    return [code_of(find_code_blocks(answer[fence.start() :])[0]) for fence in _OPENING_FENCE.finditer(answer)]


def _outside(answer: str, blocks: Sequence[CodeBlock]) -> str:
    """The answer with a line that is no code in place of each of its closed code blocks."""
    for block in reversed([block for block in blocks if block.closed]):
        answer = f"{answer[: block.start]}\n???\n{answer[block.end :]}"
    return answer


def _lines(text: str) -> list[str]:
    """The lines that are not blank, without what is blank at their ends, fences there, and a fence before them."""
    lines = (line.rstrip().removesuffix("```").rstrip() for line in text.splitlines())
    return [line for line in lines if line.strip() and not line.lstrip().startswith(FENCES)]


def _is_whole(lines: list[str], text: list[str], anywhere: bool) -> bool:
    """Whether lines follow one another in a text, or at its beginning, and are no part of a longer program there."""
    shown, stripped = [line.strip() for line in lines], [line.strip() for line in text]
    size = len(shown)
    for start in range(len(text) - size + 1) if anywhere else [0] * (size <= len(text)):
        if size and stripped[start : start + size] == shown:
            longer = [text[max(start - 1, 0) : start + size], text[start : start + size + 1]]
            return not any(len(each) > size and syntax_tree(dedent("\n".join(each))) for each in longer)
    return False
