"""Reads a raw answer in any dialect: splits it into thought and solution, word for word, or refuses.

Three readings are tried in this order:

1. `well_formed`: a thought, its end tag, then the solution; or the headings "Thought" and "Solution".
2. `nested_tags`: tags that are doubled, nested, unclosed or out of order.
3. `untagged`: no tags, and one text that is the program.

Two sections written in any dialect are read back as the same two texts or refused. The two sections hold the
characters of the answer except tags and headings, the special tokens at its ends, and the `left_out` end of it. The
solution's program is the one that `hindsight.text.program_choice` finds; fences that a Markdown reader would miss are
rewritten as plain ones.
"""

from dataclasses import replace

from hindsight.conversion.nested_tags import read_nested
from hindsight.conversion.next_turn import end_before_next_turn, end_before_turn_marker
from hindsight.conversion.sections import Sections, Undecided, closed_blocks, structure_tags
from hindsight.conversion.untagged import read_untagged, require_lines_of_code, without_cut_block
from hindsight.conversion.well_formed import begins_with_thought_tag, read_well_formed
from hindsight.text.code_blocks import CodeBlock, fenced, find_code_blocks
from hindsight.text.dialects import plain_dialect
from hindsight.text.program_choice import TWO_READINGS, UNKNOWN_TARGET, ProgramChoice, ProgramTarget, choose_program
from hindsight.text.programs import program_facts, syntax_tree
from hindsight.text.uniform_format import TAG, find_tags, without_cut_tag

MOST_TAGS = 64  # an answer with more tags is degenerate and is not read


def read(
    text: str, finished: bool = True, *, thought_open: bool = False, target: ProgramTarget = UNKNOWN_TARGET
) -> Sections:
    """The sections of an answer. Raises Undecided if no rule can split it, or it is unclear which text is the program.

    `finished` is False if the token limit cut the answer off; `thought_open`: the answer continues a thought that the
    prompt opened; `target`: what the problem asks for.
    """
    text, _ = plain_dialect(text)
    if thought_open and not begins_with_thought_tag(text):
        text = f"<think>\n{text}"
    if not finished:
        text = without_cut_tag(text)
    if len(find_tags(text)) > MOST_TAGS:
        raise Undecided(f"it has more than {MOST_TAGS} tags")
    return _read(text, finished, target)


def _read(text: str, finished: bool, target: ProgramTarget) -> Sections:
    if (end := end_before_turn_marker(text)) is not None and not _is_comment(text, end, target):
        return _first_answer(text, end, target)
    if (sections := read_well_formed(text)) is not None:
        return _with_program(sections, text, finished, target, well_formed=True)
    if (end := end_before_next_turn(text)) is not None:
        return _first_answer(text, end, target)
    if structure_tags(text):
        return _with_program(read_nested(text, finished, target), text, finished, target, well_formed=False)
    if find_tags(text):
        raise Undecided("its tags are only quoted")
    return _with_program(read_untagged(text, finished, target), text, finished, target, well_formed=False)


def _is_comment(text: str, start: int, target: ProgramTarget) -> bool:
    """Whether "# Problem 2" is a comment: the text, or its unclosed code block, is a program as a whole, and what is
    before it is only a part."""
    block = next(iter(find_code_blocks(text)[-1:]), None)
    begin = block.code_start if block and not block.closed and block.code_start <= start else 0
    whole, before = program_facts(text[begin:]), program_facts(text[begin:start])
    if whole is None or before is None or not text[start:].lstrip().startswith("#"):
        return False
    asked = target.function in before.functions if target.function else before.reads and before.prints
    return not asked or not before.names[1] <= whole.names[1]


def _first_answer(text: str, end: int, target: ProgramTarget) -> Sections:
    first = _read(text[:end], True, target)
    return replace(first, rule=f"{first.rule}, next turn left out", left_out=text[end:].strip())


def _with_program(
    sections: Sections, text: str, finished: bool, target: ProgramTarget, *, well_formed: bool
) -> Sections:
    """The sections with the program in a code block that any reader finds.

    Raises Undecided if the program is missing, cut off, broken, or one of two.
    """
    if not finished and not _ends_by_tag(sections):
        sections = without_cut_block(sections, target)
    choice = choose_program(sections.solution, target)
    if choice.undecided:
        raise Undecided(choice.undecided)
    _require_whole_program(sections, choice, finished)
    _require_tags_outside_of_code(sections, text, well_formed)
    return with_plain_fences(sections, choice, target)


def _ends_by_tag(sections: Sections) -> bool:
    return sections.rule.startswith("sections") and "no end of solution" not in sections.rule


def _require_whole_program(sections: Sections, choice: ProgramChoice, finished: bool) -> None:
    whole = all(block.closed for block in choice.blocks) and (choice.fits or choice.closed)
    if not finished and not _ends_by_tag(sections) and not (choice.blocks and whole):
        raise Undecided("it was cut off by length in its solution", lost=True)
    if choice.program is None:
        require_lines_of_code(sections.solution)
        raise Undecided("its solution has code, but no program that can be parsed")
    if any(not block.closed for block in choice.blocks) and not syntax_tree(choice.program):
        raise Undecided("its code block is not closed, and what it holds is not Python")


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


def with_plain_fences(sections: Sections, choice: ProgramChoice, target: ProgramTarget) -> Sections:
    """The sections with each code block of the solution between fences of its own lines, and a program in no code
    block in one. Raises Undecided if the solution then has another program."""
    solution, rule = sections.solution, sections.rule
    if not choice.blocks and choice.program is not None:
        solution = fenced(solution)
        rule = rule if rule.startswith("bare program") else f"{rule}, program in no code block"
    elif any(not block.regular for block in choice.reading):
        for block in reversed(choice.reading):
            if not block.regular:
                parts = solution[: block.start].rstrip(" \t"), _written(block), solution[block.end :]
                solution = "\n".join(part.removeprefix("\n") for part in parts).strip()
        rule = f"{rule}, {'odd fences' if find_code_blocks(sections.solution) else 'code amid words'}"
    after = choose_program(solution, target).program
    if (after or "").strip() != (choice.program or "").strip():
        raise Undecided(TWO_READINGS)
    return replace(sections, solution=solution, rule=rule)


def _written(block: CodeBlock) -> str:
    code = block.code.strip("\n")
    return fenced(code) if block.is_python else f"{block.fence}{block.language}\n{code}\n{block.fence}"
