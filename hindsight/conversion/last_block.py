"""The last resort for answers that no rule can split, used if no reformatting model is configured.

The last closed code block is the solution and everything before it the thought, as SkyThought's checker takes the last
block for the program. Structure tags are dropped.
"""

from dataclasses import replace

from hindsight.conversion.programs import is_program
from hindsight.conversion.sections import Sections, closed_blocks, without_structure_tags
from hindsight.conversion.untagged import read_bare_program
from hindsight.conversion.well_formed import well_formed_readings
from hindsight.text.code_blocks import fenced, final_block, find_code_blocks, looks_like_code


def split_at_last_block(text: str) -> Sections | None:
    """The sections by the last code block, None if no block holds a program and the answer is no bare program either.

    If the solution section is known, only its own blocks count; without a block it may itself be the program.
    """
    readings = well_formed_readings(text)
    if len(readings) == 1:
        return _last_block_of_solution(readings[0])
    block = final_block(closed_blocks(text))
    if block is None or not (block.language or looks_like_code(block.code)):
        return read_bare_program(text)
    thought = without_structure_tags(text[: block.start])
    solution = text[block.start : block.end] + without_structure_tags(text[block.end :])
    return Sections(thought.strip(), solution.strip(), "last code block")


def _last_block_of_solution(sections: Sections) -> Sections | None:
    blocks = find_code_blocks(sections.solution)
    if not blocks and is_program(sections.solution):
        return replace(sections, solution=fenced(sections.solution), rule="program in no code block")
    if any(block.closed and looks_like_code(block.code) for block in blocks):
        return replace(sections, rule="last code block")
    return None
