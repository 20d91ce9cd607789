"""Sections: the two parts of an answer, and which of its tags separate them.

A tag is *quoted* if it is in a closed code block or has other text on both sides in its line. Every other tag is a
*structure tag*. A section is a text without structure tags.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hindsight.text.code_blocks import CodeBlock, find_code_blocks
from hindsight.text.uniform_format import TAG, Tag, find_tags

_QUOTES = frozenset("`'\"“”‘’«»")
CUT_IN_THOUGHT = "it was cut off by length before its solution"


@dataclass(frozen=True)
class Sections:
    """Thought and solution of an answer, without tags and surrounding blank space.

    `rule` names how they were found; `left_out` is the end of the raw answer that belongs to neither: a base model's
    next turn; `repeated` is a thought that the answer has twice.
    """

    thought: str
    solution: str
    rule: str = field(default="", compare=False)
    left_out: str = field(default="", compare=False)
    repeated: str = field(default="", compare=False)


class Undecided(Exception):
    """No rule can split the answer; the message says why. `lost`: no model can either: it has no end or no program."""

    def __init__(self, reason: str, lost: bool = False):
        super().__init__(reason)
        self.lost = lost


def structure_tags(text: str) -> list[Tag]:
    """The tags of a text that are not quoted, in order."""
    tags = find_tags(text)
    blocks = closed_blocks(text) if tags else []
    return [tag for tag in tags if at_edge_of_line(text, tag) and not in_a_block(blocks, tag.start)]


def without_structure_tags(text: str) -> str:
    """The text with a blank line in place of each structure tag and the blank space around it."""
    for tag in reversed(structure_tags(text)):
        text = text[: tag.start].rstrip() + "\n\n" + text[tag.end :].lstrip()
    return text


def at_edge_of_line(text: str, tag: Tag) -> bool:
    """Whether only blank space and other tags precede the tag in its line, or follow it."""
    start, end = text.rfind("\n", 0, tag.start) + 1, text.find("\n", tag.end)
    before, after = text[start : tag.start], text[tag.end : end if end >= 0 else len(text)]
    return not TAG.sub("", before).strip() or not TAG.sub("", after).strip()


def between_quotes(text: str, start: int, end: int) -> bool:
    """Whether a part of a text is directly between quotation marks."""
    return text[max(start - 1, 0) : start] in _QUOTES and text[end : end + 1] in _QUOTES


def begins_section(text: str, tag: Tag) -> bool:
    """Whether a solution may begin after a tag, so that a code block left open before it does not reach there."""
    return (tag.closes("thought") or tag.opens("solution")) and not between_quotes(text, tag.start, tag.end)


def closed_blocks(text: str) -> list[CodeBlock]:
    """The code blocks of a text that have a closing fence."""
    return [block for block in find_code_blocks(text) if block.closed]


def in_a_block(blocks: Iterable[CodeBlock], place: int) -> bool:
    """Whether an offset in the text lies in one of its code blocks."""
    return any(block.start <= place < block.end for block in blocks)


def close_code_block(solution: str) -> str:
    """The solution with a closing fence if its last code block lacks one."""
    blocks = find_code_blocks(solution)
    return solution if not blocks or blocks[-1].closed else f"{solution.rstrip()}\n{blocks[-1].fence}"
