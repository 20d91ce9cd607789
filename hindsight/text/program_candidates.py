"""The candidates for a solution's program: blocks that parse and do something, each with the blocks that it needs.

`hindsight.text.program_choice` has the rules and chooses among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hindsight.text.code_blocks import CodeBlock
from hindsight.text.programs import ProgramFacts, is_program, program_facts, syntax_text


@dataclass(frozen=True)
class Candidate:
    """A block that parses, preceded by the blocks that it needs; `own`: the facts of that block alone."""

    blocks: tuple[CodeBlock, ...]
    program: str
    facts: ProgramFacts
    own: ProgramFacts

    @property
    def complete(self) -> bool:
        """Whether it reads input and prints when it is run."""
        return self.facts.reads and self.facts.prints


def find_candidates(blocks: Sequence[CodeBlock], function: str | None) -> list[Candidate]:
    """The candidates among the blocks of a solution, in order; blocks in other languages only if no other one fits.

    function: the name of the function that the problem asks for, None for a program.
    """
    parsed = [(block, facts) for block in blocks if (facts := program_facts(block.code)) is not None]
    python = [(block, facts) for block, facts in parsed if block.is_python or not block.language]
    fitting = not function or any(function in facts.functions for _, facts in python)
    found, usable = [], python if fitting and any(_does_something(*each, function) for each in python) else parsed
    for number, (block, facts) in enumerate(usable):
        if not _does_something(block, facts, function):
            continue
        definitions = [each for each in usable[number + 1 :] if not (each[1].calls or each[1].reads or each[1].prints)]
        needed = _needed(facts, [*definitions, *usable[:number]])
        program = "\n".join(each.code.strip("\n") for each in (*needed, block)) + "\n" if needed else block.code
        whole = program_facts(program)
        found.append(Candidate((*needed, block), program, whole or facts, facts))
    return found


def _does_something(block: CodeBlock, facts: ProgramFacts, function: str | None) -> bool:
    """Whether a block that parses is a program, and not data or constants."""
    return is_program(block.code) or facts.calls or function in facts.functions


def _needed(facts: ProgramFacts, others: Sequence[tuple[CodeBlock, ProgramFacts]]) -> tuple[CodeBlock, ...]:
    """The blocks that define the names that a program uses without defining them, each name by its last definition."""
    if not others:
        return ()
    missing, needed = set(facts.names[1]), []
    for block, other in reversed(others):
        defined, undefined = other.names
        if missing & defined or (missing and "*" in defined):
            missing = missing - defined | undefined
            needed.append(block)
    return tuple(reversed(needed))


def complete_programs(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that read input and print, without three kinds.

    Left out are a candidate that builds on an earlier one; one of which a later one has every line; and one that has
    only lines of an earlier one, if it is in several blocks or lacks a definition.
    """
    found: list[Candidate] = []
    for each in candidates:
        used = [other for other in found if set(other.blocks) <= set(each.blocks[:-1])]
        retold = any(_is_retold(each, other) for other in found)
        lacking = each.facts.names[1] and any(_is_part(each.program, other.program) for other in found)
        if each.complete and not (used or retold or lacking):
            found = [other for other in found if not _is_part(other.program, each.program)]
            found.append(each)
    return found


def _is_part(program: str, other: str) -> bool:
    """Whether the other program has each line of a program, in order, or is the same program."""
    lines = iter(_lines(other))
    return all(line in lines for line in _lines(program)) or syntax_text(program) == syntax_text(other)


def _lines(program: str) -> list[str]:
    return [line.strip() for line in program.splitlines() if line.strip()]


def without_excerpts(candidates: list[Candidate], function: str) -> list[Candidate]:
    """The candidates for a function without excerpts of earlier ones."""
    left: list[Candidate] = []
    for each in candidates:
        if not any(_is_excerpt(each, other, function) for other in left):
            left.append(each)
    return left


def _is_excerpt(candidate: Candidate, other: Candidate, function: str) -> bool:
    """Whether a candidate is an excerpt of another one.

    All its lines are lines of the other, whose function returns a value, or ends by returning, where its own does not.
    Or it is in several blocks, each of which has only lines of the other.
    """
    if _is_retold(candidate, other):
        return True
    own, whole = candidate.own, other.own
    returns = function in whole.returning and function not in own.returning
    returns = returns or (function in whole.ending and function not in own.ending)
    lines = "\n".join(
        line for line in _lines(candidate.blocks[-1].code) if line not in ("...", "pass") and line[0] != "#"
    )
    return returns and _is_part(lines, other.program)


def _is_retold(candidate: Candidate, other: Candidate) -> bool:
    """Whether a candidate is in several blocks, each of which has only lines of another candidate."""
    pieces = [part.code for block in candidate.blocks for part in block.parts or (block,)]
    return len(pieces) > 1 and all(_is_part(piece, other.program) for piece in pieces)
