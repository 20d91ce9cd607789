"""Reads answers without tags: the program begins the solution, the text before it is the thought."""

import re
from dataclasses import replace
from typing import NoReturn

from hindsight.conversion.sections import Sections, Undecided
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.program_choice import ProgramTarget, choose_program
from hindsight.text.programs import is_program, syntax_tree

_CODE_LINE = re.compile(
    r"(?:>>> |In ?\[\d*\]: |\+)?\s*(?:import|from|def|class|for|while|if|return|print)\b|\s*[\w, ]+ *=|\s*\w+\(|.*`.*\("
)


def read_untagged(text: str, finished: bool, target: ProgramTarget) -> Sections:
    """The sections of an answer without tags. Raises Undecided if it is unclear which text is the program.

    `finished` is False if the token limit cut the answer off.
    """
    if not finished and (cut := without_cut_block(Sections("", text), target)).left_out:
        return replace(read_untagged(cut.solution, finished, target), left_out=cut.left_out)
    choice = choose_program(text, target)
    if choice.undecided:
        raise Undecided(choice.undecided)
    if choice.program is None or not (choice.blocks or finished):
        _refuse(text, finished)
    if not choice.blocks:
        return Sections("", text.strip(), "bare program")
    programs = [block for block in choice.reading if is_program(block.code)]
    known = target.function is not None or target.reads_input
    if len(programs) > 1 and not (known and choice.fits):
        raise Undecided("it has several code blocks")
    if not all(block.closed for block in choice.blocks) and not (finished and syntax_tree(choice.program)):
        raise Undecided("its code block is not closed, and what it holds is not Python", lost=not finished)
    start = min(block.start for block in choice.blocks)
    if choice.introduced:  # without the line before it another one may be the program
        start = text[:start].rstrip().rfind("\n") + 1
    rule = "one program" if len(programs) < 2 else "the program that fits"
    if not find_code_blocks(text):  # its first line may be indented as the others are
        return Sections(text[:start].strip(), text[start:].strip("\r\n").rstrip(), rule)
    return Sections(text[:start].strip(), text[start:].strip(), rule.replace("program", "code block"))


def without_cut_block(sections: Sections, target: ProgramTarget) -> Sections:
    """The sections without the code block that the token limit cut off, if a whole program that fits is before it."""
    solution = sections.solution
    block = next(iter(find_code_blocks(solution)[-1:]), None)
    if block is None or block.closed or not choose_program(solution[: block.start], target).fits:
        return sections
    return replace(sections, solution=solution[: block.start].rstrip(), left_out=solution[block.start :].strip())


def require_lines_of_code(text: str) -> None:
    """Raises Undecided if no line of a text may be code, so that no model can find a program in it either."""
    if not any(map(_CODE_LINE.match, text.splitlines())):
        raise Undecided("it holds no program", lost=True)


def _refuse(text: str, finished: bool) -> NoReturn:
    require_lines_of_code(text)
    if find_code_blocks(text):
        raise Undecided("its code block holds no program", lost=not finished)
    raise Undecided("it has neither sections nor a code block", lost=not finished)
