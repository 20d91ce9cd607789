"""Reads answers without tags: the only code block is the solution, the text before it the thought."""

import re

from hindsight.conversion.programs import holds_program, is_program, syntax_tree
from hindsight.conversion.sections import Sections, Undecided
from hindsight.text.code_blocks import fenced, final_block, find_code_blocks, looks_like_code

_CODE_LINE = re.compile(r"\s*(?:import|from|def|class|for|while|if|return|print)\b|\s*[\w, ]+ *=|\s*\w+\(|.*`.*\(")


def read_untagged(text: str, finished: bool) -> Sections:
    """The sections of an answer without tags. Raises Undecided if it is unclear which block holds the program.

    `finished` is False if the token limit cut the answer off.
    """
    blocks = find_code_blocks(text)
    block = final_block(blocks)
    if block is None:
        return _without_code_block(text, finished)
    others = [each for each in blocks if each is not block]
    if others and (any(map(holds_program, others)) or not holds_program(block)):
        raise Undecided("it has several code blocks")
    if not block.closed and not (finished and syntax_tree(block.code)):
        raise Undecided("its code block is not closed, and what it holds is not Python", lost=not finished)
    if not looks_like_code(block.code):
        raise Undecided("its code block holds no program")
    return Sections(text[: block.start].strip(), text[block.start :].strip(), "one code block")


def read_bare_program(text: str) -> Sections | None:
    """An answer that is a program and nothing else, put into a code block; None for any other."""
    return Sections("", fenced(text), "bare program") if is_program(text) else None


def _without_code_block(text: str, finished: bool) -> Sections:
    if not any(map(_CODE_LINE.match, text.splitlines())):
        raise Undecided("it holds no program", lost=True)
    program = read_bare_program(text) if finished else None
    if program is None:
        raise Undecided("it has neither sections nor a code block", lost=not finished)
    return program
