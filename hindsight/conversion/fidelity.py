"""Checks that a conversion changed nothing: its sections hold the answer's words in order, and the answer's program.

    check_fidelity(answer, sections, FidelityLimits(min_kept=0.9, max_new=10), target)
    # {"kept": 0.993, "new": 2, "code": "equal"}

`kept` is the share of the answer's words that the two sections hold in the same order, by the longest common
subsequence; `new` is the number of other words in the sections. Words are separated by blank space; tags and fences do
not count.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hindsight.conversion.sections import Sections, begins_section
from hindsight.conversion.well_formed import is_unambiguous
from hindsight.text.code_blocks import CodeBlock, block_readings, find_code_blocks
from hindsight.text.program_choice import UNKNOWN_TARGET, ProgramTarget, choose_program
from hindsight.text.programs import does_nothing, syntax_text, syntax_tree
from hindsight.text.unfenced_code import blocks_within_lines, is_words
from hindsight.text.uniform_format import TAG, find_tags

_FENCE_WORD = re.compile(r"([`~])\1{2,}(?:[^\s`~]+(?=\s|\Z))?")
_BLOCK = "???"  # stands for a code block
_QUOTE_MARK = re.compile(r">(?<!\S>)>*(?!\S)")


class NotFaithful(Exception):
    """A conversion that changes the answer; the message is the reason, and is also shown to the reformatting model."""


@dataclass(frozen=True)
class FidelityLimits:
    """The least share of the answer's words that a conversion keeps in order, and the most words that it may add."""

    min_kept: float
    max_new: int


def check_fidelity(
    answer: str, sections: Sections, limits: FidelityLimits, target: ProgramTarget = UNKNOWN_TARGET
) -> dict[str, Any]:
    """The figures of a faithful conversion, see the module; raises NotFaithful for any other.

    `code` is "equal" if the program's blocks equal code blocks of the answer, as syntax trees or, if they cannot be
    parsed, as text; "not in a code block" or "in a broken code block" if its lines are found whole there; "none". The
    program parses, or none of the answer's does.
    """
    if not is_unambiguous(sections):
        raise NotFaithful("the sections hold tags that make them unreadable")
    code = compare_code(answer, sections.solution, target)
    kept, new = compare_words(answer, sections)
    if kept < limits.min_kept:
        raise NotFaithful(f"only {kept:.0%} of the answer's words are kept")
    if new > limits.max_new:
        raise NotFaithful(f"{new} words are not in the answer")
    return {"kept": round(kept, 4), "new": new, "code": code}


def compare_words(answer: str, sections: Sections) -> tuple[float, int]:
    """The share of the answer's words that the sections keep in order, and the number of other words in the sections.

    The sections are compared in both orders, since an answer may begin with its solution.
    """
    whole, thought, solution = map(words_without_markup, (answer, sections.thought, sections.solution))
    if whole == thought + solution:
        return 1.0, 0
    kept, common = len(thought) + len(solution), common_length(whole, thought + solution)
    if common < kept:
        common = max(common, common_length(whole, solution + thought))
    return common / max(len(whole), 1), kept - common


def words_without_markup(text: str) -> list[str]:
    """The words of a text, without tags, code fences and the marks of a quote."""
    text = _QUOTE_MARK.sub(" ", TAG.sub(" ", text)) if ">" in text or "]" in text else text
    return (_FENCE_WORD.sub(" ", text) if "```" in text or "~~~" in text else text).split()


def common_length(first: list[str], second: list[str]) -> int:
    """The length of the longest common subsequence, by bit operations on one bit per word of the first list.

    Source: Hyyrö, Bit-parallel LCS-length computation revisited (2004). A zero bit in `row` is an increment in the row
    of the dynamic programming matrix.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    row = everything = (1 << len(first)) - 1
    for word in second:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & everything
    return len(first) - row.bit_count()


def compare_code(answer: str, solution: str, target: ProgramTarget = UNKNOWN_TARGET) -> str:
    """Where the answer holds the solution's program, see `check_fidelity`. Raises NotFaithful if it does not."""
    choice = choose_program(solution, target)
    if choice.undecided:
        raise NotFaithful(f"in the solution, {choice.undecided}; the earlier one belongs to the thought")
    if choice.program is None or not choice.program.strip():
        return "none"
    if not syntax_tree(choice.program) and choose_program(answer, target).fits:
        raise NotFaithful("the solution's program cannot be parsed, but the answer has one that can")
    programs = [block_code(block) for block in choice.blocks] or [choice.program]
    places = [_place_of(program, answer) or _place_in_section(program, answer) for program in programs]
    if None in places:
        raise NotFaithful("the program is not one of the answer's")
    return next((place for place in places if place and place != "equal"), "equal")


def _place_in_section(program: str, answer: str) -> str | None:
    """As `_place_of`, in the text after a thought, which may have left a code block open."""
    starts = [tag.end for tag in find_tags(answer) if begins_section(answer, tag)]
    return next((place for start in starts if (place := _place_of(program, answer[start:]))), None)


def _place_of(program: str, answer: str) -> str | None:
    blocks = find_code_blocks(answer)
    codes = [block_code(each) for each in blocks]
    others = [block_code(each) for reading in block_readings(answer)[1:] for each in reading]
    others += [block.code for block in blocks_within_lines(answer)]
    if _is_among(program, codes + others):
        return "equal"
    lines = code_lines(program)
    if any(not syntax_tree(code) and _is_whole(lines, code_lines(code), anywhere=False) for code in codes):
        return "in a broken code block"
    outside = _outside(answer, blocks)
    if any(_is_whole(lines, code_lines(text), anywhere=True) for text in (outside, TAG.sub("\n", outside))):
        return "not in a code block"
    return None


def _is_among(program: str, codes: list[str]) -> bool:
    if program.strip() in [code.strip() for code in codes]:
        return True
    tree = syntax_text(program) if codes else None
    return tree is not None and any(syntax_text(code) == tree for code in codes)


def block_code(block: CodeBlock) -> str:
    """The code of a block; an unclosed block ends at the first tag."""
    tag = None if block.closed else TAG.search(block.code)
    return block.code[: tag.start()] if tag else block.code


def code_line(line: str) -> str:
    """A line of code without trailing blanks and without a closing fence at its end."""
    return line.rstrip().removesuffix("```").rstrip()


def code_lines(text: str) -> list[str]:
    """The lines of a text that are neither blank nor a fence, each as `code_line` gives it."""
    lines = [code_line(line) for line in text.splitlines() if not line.lstrip().startswith(("```", "~~~"))]
    return [line for line in lines if line]


def _outside(answer: str, blocks: Sequence[CodeBlock]) -> str:
    """The answer with one line that cannot be code in place of each closed code block."""
    for block in reversed([block for block in blocks if block.closed]):
        answer = f"{answer[: block.start]}\n{_BLOCK}\n{answer[block.end :]}"
    return answer


def _is_whole(lines: list[str], text: list[str], anywhere: bool) -> bool:
    """Whether the lines occur in a row in the text, or at its start, and are not part of a longer program there."""
    wanted, stripped = [line.strip() for line in lines], [line.strip() for line in text]
    size = len(wanted)
    for start in range(len(text) - size + 1) if anywhere else [0] * (size <= len(text)):
        if size and stripped[start : start + size] == wanted:
            neighbours = [*text[max(start - 1, 0) : start], *text[start + size : start + size + 1]]
            return all(line == _BLOCK or does_nothing(line) or is_words(line) for line in neighbours)
    return False
