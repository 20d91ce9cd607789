"""Reads a raw answer in any dialect: splits it into thought and solution, word for word, or refuses.

Three readings are tried in this order:

1. `well_formed`: a thought, its end tag, then the solution; or the headings "Thought" and "Solution".
2. `nested_tags`: tags that are doubled, nested, unclosed or out of order.
3. `untagged`: no tags, one code block.

Two sections written in any dialect are read back as the same two texts or refused. The two sections hold the
characters of the answer except tags and headings, and the `left_out` end of it.
"""

import re
from dataclasses import replace

from hindsight.conversion.nested_tags import read_nested
from hindsight.conversion.programs import is_program, syntax_tree
from hindsight.conversion.sections import Sections, Undecided, closed_blocks, structure_tags
from hindsight.conversion.untagged import read_untagged
from hindsight.conversion.well_formed import read_well_formed
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.uniform_format import TAG, find_tags, without_cut_tag

MOST_TAGS = 64  # an answer with more tags has lost its way and is not read
_NEXT_TURN = re.compile(r"(?:User|Human|Assistant|System|Question|Problem|Task|Example|Q)(?: \d+)?:", re.IGNORECASE)


def read(text: str, finished: bool = True) -> Sections:
    """The sections of an answer. Raises Undecided if no rule can split it.

    `finished` is False if the token limit cut the answer off.
    """
    if not finished:
        text = without_cut_tag(text)
    tags = find_tags(text)
    if len(tags) > MOST_TAGS:
        raise Undecided(f"it has more than {MOST_TAGS} tags")
    if (sections := read_well_formed(text)) is not None:
        _require_whole_program(sections, finished)
        _require_tags_outside_of_code(sections, text, well_formed=True)
        return sections
    if (end := _end_before_next_turn(text)) is not None:
        first = read(text[:end])
        return replace(first, rule=f"{first.rule}, next turn left out", left_out=text[end:].strip())
    if structure_tags(text):
        sections = read_nested(text, finished)
        _require_whole_program(sections, finished)
        _require_tags_outside_of_code(sections, text, well_formed=False)
        return sections
    if tags:
        raise Undecided("its tags are only quoted")
    return read_untagged(text, finished)


def _end_before_next_turn(text: str) -> int | None:
    """The offset where the answer ends and a base model continues the transcript with another turn; None: nowhere."""
    ends = (tag.end for tag in structure_tags(text) if tag.closes("solution"))
    return next((end for end in ends if _NEXT_TURN.match(text[end:].lstrip())), None)


def _require_whole_program(sections: Sections, finished: bool) -> None:
    """Raises Undecided if the program of the solution is cut off, broken, or in no code block."""
    blocks = find_code_blocks(sections.solution)
    ends_by_tag = sections.rule.startswith("sections") and "no end of solution" not in sections.rule
    if not finished and not ends_by_tag and not (blocks and blocks[-1].closed):
        raise Undecided("it was cut off by length in its solution", lost=True)
    if blocks and not blocks[-1].closed and not syntax_tree(blocks[-1].code):
        raise Undecided("its code block is not closed, and what it holds is not Python")
    if not blocks and is_program(sections.solution):
        raise Undecided("its program is in no code block")


def _require_tags_outside_of_code(sections: Sections, text: str, well_formed: bool) -> None:
    """Raises Undecided if a tag may have been read as structure inside a code block, or the other way round.

    A closed block with tags must be whole in a section exactly if it is Python; in a well-formed answer a whole block
    may hold something else, for example the form that the prompt asked for.
    """
    for block in closed_blocks(text):
        if TAG.search(block.code):
            whole = block.code in sections.thought or block.code in sections.solution
            if whole != bool(syntax_tree(block.code)) and not (well_formed and whole):
                raise Undecided("its tags and its code blocks overlap")
