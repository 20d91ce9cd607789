"""Reads answers without a flaw: a thought, the tag that ends it, and a solution; or two Markdown headings.

Each place where the thought may end is tried. The answer is split only if exactly one of them leaves two sections.
"""

import re
from itertools import zip_longest

from hindsight.conversion.sections import (
    Sections,
    Undecided,
    at_edge_of_line,
    between_quotes,
    closed_blocks,
    in_a_block,
    structure_tags,
)
from hindsight.text.uniform_format import find_tags, render

_THOUGHT_HEADING = re.compile(
    r"^(?:#{1,6}[ \t]*\**|\*\*)(?:slow |chain of )?(?:thoughts?|thinking|thought process|reasoning)\b:?\**:?[ \t]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
_SOLUTION_HEADING = re.compile(
    r"^(?:#{1,6}[ \t]*\**|\*\*)(?:final )?(?:solution|answer)\b:?\**:?[ \t]*\r?$", re.MULTILINE | re.IGNORECASE
)


def read_well_formed(text: str) -> Sections | None:
    """The sections of an answer without a flaw, None if it has one. Raises Undecided if it can be split in two ways."""
    readings = well_formed_readings(text)
    if not readings:
        return None
    reading, *others = readings
    if others:
        raise Undecided("its thought may end in several places")
    ends = [tag for tag in find_tags(text) if tag.closes("thought") and at_edge_of_line(text, tag)]
    if not ends and reading.rule != "headings" and not begins_with_thought_tag(text):
        raise Undecided("its tags are only quoted")
    if _ends_amid_words(reading.thought) or _ends_amid_words(reading.solution):
        raise Undecided("its thought may end in several places")
    return reading


def well_formed_readings(text: str) -> list[Sections]:
    """Every pair of sections that an answer without a flaw can be split into."""
    found = [
        each
        for each in [*_tagged_readings(text), *_headed_readings(text)]
        if each.solution and not structure_tags(each.thought) and not structure_tags(each.solution)
    ]
    return list(dict.fromkeys(found))


def is_unambiguous(sections: Sections) -> bool:
    """Whether two sections in the uniform format can be read in one way only, as themselves."""
    expected = Sections(sections.thought.strip(), sections.solution.strip())
    return well_formed_readings(render(sections.thought, sections.solution)) == [expected]


def has_heading(section: str) -> bool:
    """Whether a text has a thought or solution heading outside code, so that it is not a section of a headed answer."""
    blocks = closed_blocks(section)
    matches = [*_THOUGHT_HEADING.finditer(section), *_SOLUTION_HEADING.finditer(section)]
    return any(not in_a_block(blocks, match.start()) for match in matches)


def without_headings(text: str) -> str:
    """The text of an answer without the two headings that separate its sections."""
    return _SOLUTION_HEADING.sub("", _THOUGHT_HEADING.sub("", text, count=1), count=1)


def _tagged_readings(text: str) -> list[Sections]:
    tags = find_tags(text)
    body = tags[0].end if begins_with_thought_tag(text) else 0
    ends_with_tag = bool(tags) and tags[-1].closes("solution") and not text[tags[-1].end :].strip()
    found = []
    for tag, following in zip_longest(tags, tags[1:]):
        if not tag.closes("thought") or between_quotes(text, tag.start, tag.end):
            continue
        thought = text[body : tag.start].strip()
        if following is None or not following.opens("solution") or text[tag.end : following.start].strip():
            found.append(Sections(thought, text[tag.end :].strip(), "rest after the thought"))
        elif ends_with_tag:
            solution = _without_boxes(text[following.end : tags[-1].start])
            found.append(Sections(thought, solution.strip(), "sections"))
    return found


def _without_boxes(solution: str) -> str:
    """A solution between tags without the boxes around parts of it; a box between words or in a code block is text."""
    for tag in reversed(structure_tags(solution) if "_of_box" in solution else []):
        if "_of_box" in solution[tag.start : tag.end]:
            solution = solution[: tag.start] + solution[tag.end :]
    return solution


def _headed_readings(text: str) -> list[Sections]:
    first = _THOUGHT_HEADING.match(text, len(text) - len(text.lstrip()))
    if not first:
        return []
    found = [
        Sections(text[first.end() : match.start()].strip(), text[match.end() :].strip(), "headings")
        for match in _SOLUTION_HEADING.finditer(text)
        if match.start() > first.end()
    ]
    return [each for each in found if not has_heading(each.thought) and not has_heading(each.solution)]


def begins_with_thought_tag(text: str) -> bool:
    """Whether an answer begins with a tag that opens a thought."""
    tags = find_tags(text)
    return bool(tags) and tags[0].opens("thought") and not text[: tags[0].start].strip()


def _ends_amid_words(section: str) -> bool:
    """Whether the end tag of a thought is between words, without quotation marks: it may have been meant to end it."""
    blocks = closed_blocks(section)
    return any(
        tag.closes("thought") and not in_a_block(blocks, tag.start) and not between_quotes(section, tag.start, tag.end)
        for tag in find_tags(section)
    )
