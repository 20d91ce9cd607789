"""The last resort for answers that no rule can split, used if no reformatting model is configured.

The program is chosen from the whole answer, and everything before its block is the thought. Structure tags are
dropped, and so is another turn.
"""

from dataclasses import replace

from hindsight.conversion.next_turn import end_before_turn_marker
from hindsight.conversion.reader import with_plain_fences
from hindsight.conversion.sections import Sections, begins_section, without_structure_tags
from hindsight.conversion.well_formed import well_formed_readings
from hindsight.text.program_choice import ProgramTarget, choose_program
from hindsight.text.uniform_format import find_tags


def split_at_last_block(text: str, target: ProgramTarget) -> Sections | None:
    """The sections by the block of the program, None if there is no program in a closed block, or two are possible.

    If the solution section is known, only its own text counts.
    """
    end = end_before_turn_marker(text)
    text, left_out = text[:end], "" if end is None else text[end:].strip()
    readings = well_formed_readings(text)
    if len(readings) == 1:
        sections, choice = readings[0], choose_program(readings[0].solution, target)
    else:
        choice = choose_program(text, target)
        if choice.undecided:
            return None
        start = min((block.start for block in choice.blocks), default=0)
        thought, solution = text[:start], text[start:]
        sections = Sections(without_structure_tags(thought).strip(), without_structure_tags(solution).strip())
        if any(begins_section(sections.thought, tag) for tag in find_tags(sections.thought)):
            return None  # a solution may begin within the thought, hidden by a code block left open
        choice = choose_program(sections.solution, target)
    if choice.program is None or choice.undecided or not all(block.closed for block in choice.blocks):
        return None
    sections = replace(sections, rule="last code block", left_out=left_out)
    return with_plain_fences(sections, choice, target)
