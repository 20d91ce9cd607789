"""Where an answer ends and a base model, or one whose end token was ignored, continues with another turn."""

import re

from hindsight.conversion.sections import closed_blocks, in_a_block, structure_tags
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.programs import is_program
from hindsight.text.uniform_format import find_tags

_AFTER_SOLUTION = re.compile(
    r"(?:User|Human|Assistant|System|Question|Problem|Task|Example|Q)(?: \d+)?:", re.IGNORECASE
)
_NUMBER = r"(?:[2-9]|[1-9]\d+)"  # a second problem, not the heading of the first
_MARKER = re.compile(
    r"^[ \t]*(?:(?:#{1,6}[ \t]*)?(?:\*\*)?(?:"
    r"(?:User|Human|Instruction)(?: \d+)?(?:\*\*)?:"
    rf"|(?:Problem|Question|Task|Exercise|Q)[ \t]*#?{_NUMBER}\b[:.]?"
    r")|#{1,6}[ \t]+(?:User|Human|Instruction)[ \t]*$)",
    re.MULTILINE,
)
_HEADING = r"^(?:#{1,6}[ \t]*)?(?:\*\*)?"
_TRANSCRIPT = re.compile(
    rf"{_HEADING}(?:Question|Problem|Task|Q):[^\n]*\n(?:.*\n)*?{_HEADING}(?:Answer|Solution|Assistant|A):", re.MULTILINE
)
_TOKEN = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|endoftext|user|start_header_id)\|>|<(?:end|start)_of_turn>"
    r"|<｜(?:end▁of▁sentence|User)｜>|^[ \t]*\[INST\]",
    re.MULTILINE,
)


def end_before_next_turn(text: str) -> int | None:
    """The offset after a solution's end tag that a next turn directly follows; None: nowhere."""
    ends = (tag.end for tag in structure_tags(text) if tag.closes("solution"))
    return next((end for end in ends if _AFTER_SOLUTION.match(text[end:].lstrip())), None)


def end_before_turn_marker(text: str) -> int | None:
    """The offset of the first special token that ends the turn, or of the first line that begins another one after a
    program; None: nowhere.

    A marker in a closed code block, or within a section that ends later, is text.
    """
    tags = find_tags(text)
    ends = [match.start() for match in _TOKEN.finditer(text)]
    for start in sorted([*ends, *(match.start() for each in (_MARKER, _TRANSCRIPT) for match in each.finditer(text))]):
        following = next((tag for tag in tags if tag.start > start), None)
        if in_a_block(closed_blocks(text), start) or (following is not None and following.edge == "end"):
            continue
        if start in ends or _has_program(text[:start]):
            return start
    return None


def _has_program(text: str) -> bool:
    return bool(find_code_blocks(text)) or is_program(text)
