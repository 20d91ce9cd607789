"""Reads a raw answer in any dialect: which part is the thought, which the solution; word for word, or not at all.

An answer is read in one of three ways, tried in this order:

1. As it should be: a thought, its end, then one solution section or, where there is none, the rest; or two Markdown
   headings that say "Thought" and "Solution". Every place where the thought might end is tried, and the answer is
   read only if exactly one leaves two *sections* (`hindsight.conversion.sections`): what two pairs could have made is refused.
2. As models get it wrong (`hindsight.conversion.flawed_answers`); of a base model that goes on with the next question of the
   transcript, its own answer.
3. Without tags: one code block is the solution, what stands before it the thought.

So whatever two sections say, written in any dialect, they are read back as the same two texts or refused; and whatever
an answer says, what is read of it is its characters less tags and headings.
"""

import re
from dataclasses import replace
from itertools import zip_longest

from hindsight.conversion.flawed_answers import read_flawed
from hindsight.conversion.sections import Sections, Unread, at_edge_of_line, is_program, structure, syntax_tree, within
from hindsight.text.code_blocks import PYTHON, CodeBlock, fenced, final_block, find_code_blocks, looks_like_code
from hindsight.text.uniform_format import TAG, Tag, find_tags, render, without_cut_tag

MOST_TAGS = 64  # in an answer that is read; one with more has lost its way
_THOUGHT_HEADING = re.compile(
    r"^(?:#{1,6}[ \t]*\**|\*\*)(?:slow |chain of )?(?:thoughts?|thinking|thought process|reasoning)\b:?\**:?[ \t]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
_SOLUTION_HEADING = re.compile(
    r"^(?:#{1,6}[ \t]*\**|\*\*)(?:final )?(?:solution|answer)\b:?\**:?[ \t]*\r?$", re.MULTILINE | re.IGNORECASE
)
_CODE_LINE = re.compile(r"\s*(?:import|from|def|class|for|while|if|return|print)\b|\s*[\w, ]+ *=|\s*\w+\(|.*`.*\(")
_QUOTES = tuple("`'\"“”‘’«»")
_NEXT_TURN = re.compile(r"(?:User|Human|Assistant|System|Question|Problem|Task|Example|Q)(?: \d+)?:", re.IGNORECASE)


def read(text: str, finished: bool = True) -> Sections:
    """The sections of an answer; `finished`: it was not cut off by length. Raises Unread when no rule can decide."""
    if not finished:
        text = without_cut_tag(text)
    tags = find_tags(text)
    if len(tags) > MOST_TAGS:
        raise Unread(f"it has more than {MOST_TAGS} tags")
    readings = _plain_readings(text, tags)
    if len(readings) > 1:
        raise Unread("its thought may end in several places")
    if readings:
        ends = [tag for tag in tags if tag.closes("thought") and at_edge_of_line(text, tag)]
        if not ends and readings[0].rule != "headings" and not _is_opened(text, tags):
            raise Unread("its tags are only quoted")
        if any(_ends_unquoted(part) for part in (readings[0].thought, readings[0].solution)):
            raise Unread("its thought may end in several places")
        return _checked(readings[0], finished, text, plain=True)
    tagged = structure(text)
    for tag in tagged:
        if tag.closes("solution") and _NEXT_TURN.match(text[tag.end :].lstrip()):
            first = read(text[: tag.end])
            return replace(first, rule=f"{first.rule}, next turn left out", left_out=text[tag.end :].strip())
    if tagged:
        found = read_flawed(text, finished)
        if not found.solution:
            parts = _one_block(found.thought, finished)
            found = replace(parts, rule=f"{parts.rule}, {found.rule}")
        return _checked(found, finished, text, plain=False)
    if tags:
        raise Unread("its tags are only quoted")
    return _one_block(text, finished)


def is_plain(sections: Sections) -> bool:
    """Whether two sections in the uniform format can be read in one way only, as themselves."""
    text = render(sections.thought, sections.solution)
    return _plain_readings(text, find_tags(text)) == [Sections(sections.thought.strip(), sections.solution.strip())]


def by_convention(text: str) -> Sections | None:
    """The last resort for what no rule decides where no reformatting model is there to read; None when it fails too.

    The last closed code block is the solution and all before it the thought, as SkyThought's checker takes the last
    block for the program; tags that are structure are dropped. Where it is plain which part is the solution, only what
    stands there is looked at: its last closed block, or else all of it, where that is a program.
    """
    readings = _plain_readings(text, find_tags(text))
    if len(readings) == 1:
        return _solution_by_convention(readings[0])
    block = final_block([block for block in find_code_blocks(text) if block.closed])
    if block is None or not (block.language or looks_like_code(block.code)):
        return _bare_program(text)
    thought = without_tags(text[: block.start])
    solution = text[block.start : block.end] + without_tags(text[block.end :])
    return Sections(thought.strip(), solution.strip(), "last code block")


def _solution_by_convention(sections: Sections) -> Sections | None:
    blocks = find_code_blocks(sections.solution)
    if not blocks and is_program(sections.solution):
        return replace(sections, solution=fenced(sections.solution), rule="program in no code block")
    if any(block.closed and looks_like_code(block.code) for block in blocks):
        return replace(sections, rule="last code block")
    return None


def close_code(solution: str) -> str:
    """The solution with a closing fence where its last code block has none."""
    blocks = find_code_blocks(solution)
    return solution if not blocks or blocks[-1].closed else f"{solution.rstrip()}\n{blocks[-1].fence}"


def _plain_readings(text: str, tags: list[Tag]) -> list[Sections]:
    """Every pair of sections that an answer without any flaw might be."""
    found = [*_tagged_readings(text, tags), *_headed_readings(text)]
    found = [each for each in found if each.solution and not structure(each.thought) and not structure(each.solution)]
    return list(dict.fromkeys(found))


def _tagged_readings(text: str, tags: list[Tag]) -> list[Sections]:
    opened = _is_opened(text, tags)
    body = tags[0].end if opened else 0
    ended = bool(tags) and tags[-1].closes("solution") and not text[tags[-1].end :].strip()
    found = []
    for tag, following in zip_longest(tags, tags[1:]):
        if not tag.closes("thought"):
            continue
        thought = text[body : tag.start].strip()
        if following is None or not following.opens("solution") or text[tag.end : following.start].strip():
            found.append(Sections(thought, text[tag.end :].strip(), "rest after the thought"))
        elif ended:
            found.append(Sections(thought, text[following.end : tags[-1].start].strip(), "sections"))
    return found


def _ends_unquoted(section: str) -> bool:
    """Whether a section has the tag that ends a thought amid words, so that it may have been meant to."""
    blocks = [block for block in find_code_blocks(section) if block.closed]
    return any(
        tag.closes("thought")
        and not within(blocks, tag.start)
        and not (section[: tag.start][-1:] in _QUOTES and section[tag.end :][:1] in _QUOTES)
        for tag in find_tags(section)
    )


def _is_opened(text: str, tags: list[Tag]) -> bool:
    return bool(tags) and tags[0].opens("thought") and not text[: tags[0].start].strip()


def _headed_readings(text: str) -> list[Sections]:
    first = _THOUGHT_HEADING.search(text)
    if not first or text[: first.start()].strip():
        return []
    solutions = [match for match in _SOLUTION_HEADING.finditer(text) if match.start() > first.end()]
    found = [
        Sections(text[first.end() : match.start()].strip(), text[match.end() :].strip(), "headings")
        for match in solutions
    ]
    return [each for each in found if not _headings(each.thought) and not _headings(each.solution)]


def _headings(section: str) -> bool:
    """Whether a text has one of the two headings outside of code, so that it is no section of a headed answer."""
    blocks = [block for block in find_code_blocks(section) if block.closed]
    matches = [*_THOUGHT_HEADING.finditer(section), *_SOLUTION_HEADING.finditer(section)]
    return any(not within(blocks, match.start()) for match in matches)


def _checked(sections: Sections, finished: bool, text: str, plain: bool) -> Sections:
    """The sections, if the program in them is whole and what a reader of the answer would take for it.

    A code block of the answer with tags in it is Python that has been left whole. Where its tags were read in one way
    only, a block without Python may be whole too: the form that the prompt asked for.
    """
    blocks = find_code_blocks(sections.solution)
    ends_by_tag = sections.rule.startswith("sections") and "no end of solution" not in sections.rule
    if not finished and not ends_by_tag and not (blocks and blocks[-1].closed):
        raise Unread("it was cut off by length in its solution", lost=True)
    if blocks and not blocks[-1].closed and not syntax_tree(blocks[-1].code):
        raise Unread("its code block is not closed, and what it holds is not Python")
    if not blocks and is_program(sections.solution):
        raise Unread("its program is in no code block")
    for block in find_code_blocks(text):
        if block.closed and TAG.search(block.code):
            whole = block.code in sections.thought or block.code in sections.solution
            if whole != bool(syntax_tree(block.code)) and not (plain and whole):
                raise Unread("its tags and its code blocks overlap")
    return sections


def _one_block(text: str, finished: bool) -> Sections:
    """The rule for answers without tags. Raises Unread when it is not plain which block the program is in."""
    blocks = find_code_blocks(text)
    if not blocks and not any(map(_CODE_LINE.match, text.splitlines())):
        raise Unread("it holds no program", lost=True)
    if not blocks:
        program = _bare_program(text) if finished else None
        if program is None:
            raise Unread("it has neither sections nor a code block", lost=not finished)
        return program
    block = final_block(blocks)
    others = [each for each in blocks if each is not block]
    if others and (any(map(_holds_program, others)) or not _holds_program(block)):
        raise Unread("it has several code blocks")
    if not block.closed and not (finished and syntax_tree(block.code)):
        raise Unread("its code block is not closed, and what it holds is not Python", lost=not finished)
    if not looks_like_code(block.code):
        raise Unread("its code block holds no program")
    return Sections(text[: block.start].strip(), text[block.start :].strip(), "one code block")


def _holds_program(block: CodeBlock) -> bool:
    return looks_like_code(block.code) and (block.language in PYTHON or is_program(block.code))


def _bare_program(text: str) -> Sections | None:
    """An answer that is a program and nothing else, in a code block."""
    return Sections("", fenced(text), "bare program") if is_program(text) else None


def without_tags(text: str) -> str:
    """The text with each tag that is structure, and the blank space around it, replaced by a blank line."""
    for tag in reversed(structure(text)):
        text = text[: tag.start].rstrip() + "\n\n" + text[tag.end :].lstrip()
    return text
