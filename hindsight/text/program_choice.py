"""Decides which text of a solution is the program, by one rule for steps 2 and 3.

    target = ProgramTarget(function="add", reads_input=False)
    choose_program("```python\\ndef add(a, b): return a + b\\n```\\n```python\\nprint(add(1, 2))\\n```", target).program
    # 'def add(a, b): return a + b\\n'

A solution that is a program as a whole is taken as it is. Otherwise candidates are the code blocks that parse as Python
and do something; a block in another language, of data or of output counts only if there are no others. If no block
fits, the one program between words is taken (`hindsight.text.unfenced_code`). Of the candidates:

- for a function, the last one that defines it, preferably with a body of more than a `pass` and not an excerpt of an
  earlier one;
- for standard input, the one that reads input and prints when it is run; two that differ are undecided, unless the
  later one has every line of the other; if none does both, the last one that reads, else the last one;
- no candidate that the line before it calls original or wrong, if there are others that fit; of several, the one that
  this line calls final, or else the last one if it is called corrected.

If no candidate fits, the code typed in a transcript of the interpreter is tried. A program in several blocks, each of
which continues the lines of the previous one, is one candidate (`hindsight.text.split_programs`).

If a candidate uses names that only other blocks define, these blocks are added to it: earlier ones, or later ones that
contain only definitions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from re import Pattern
from typing import Any

from hindsight.problem_sets.problems import function_name
from hindsight.text.code_blocks import CodeBlock, block_readings, find_code_blocks, looks_like_code, names_python
from hindsight.text.introductions import CORRECTED, FINAL, REJECTED, is_introduced
from hindsight.text.program_candidates import Candidate, complete_programs, find_candidates, without_excerpts
from hindsight.text.programs import (
    has_words_at_ends,
    is_program,
    program_facts,
    syntax_text,
    syntax_tree,
    transcript_input,
)
from hindsight.text.split_programs import with_joined_blocks
from hindsight.text.unfenced_code import unfenced_blocks
from hindsight.text.uniform_format import CACHED, find_tags

TWO_PROGRAMS = "it has two programs that both read input and print"
TWO_UNFENCED = "it defines the function twice, and has no code blocks"
TWO_READINGS = "its code fences can be read in two ways"
_DATA = ("text", "txt", "plaintext", "plain", "output", "input", "console", "json", "csv", "markdown", "md", "diff")


@dataclass(frozen=True)
class ProgramTarget:
    """What the problem asks for: a function by its name, or a program that reads standard input; neither: unknown."""

    function: str | None = None
    reads_input: bool = False


UNKNOWN_TARGET = ProgramTarget()


@dataclass(frozen=True)
class ProgramChoice:
    """The program of a solution.

    program: None if there is none; blocks: those it is made of, in order, none if the solution itself is the program;
    reading: every code block of the solution; fits: whether it parses and does what the problem asks for; introduced:
    whether the line before it made it the choice; undecided: why another text may equally be the program, "" if none
    can.
    """

    program: str | None
    blocks: tuple[CodeBlock, ...] = ()
    reading: tuple[CodeBlock, ...] = ()
    fits: bool = False
    introduced: bool = False
    undecided: str = ""

    @property
    def closed(self) -> bool:
        """Whether the last code block of the solution has its closing fence."""
        return bool(self.reading) and self.reading[-1].closed


def target_of(metadata: Mapping[str, Any] | None) -> ProgramTarget:
    """What a problem asks for, by its row or an answer's `metadata`; unknown without both `fn_name` and tests."""
    if not isinstance(metadata, Mapping) or not {"fn_name", "input_output"} & metadata.keys():
        return UNKNOWN_TARGET
    try:
        name = function_name(dict(metadata)) or None
    except (ValueError, RecursionError):
        return UNKNOWN_TARGET
    return ProgramTarget(name, reads_input=name is None) if isinstance(name, str | None) else UNKNOWN_TARGET


def solution_of(converted_text: str) -> str | None:
    """The solution section of a converted answer, None if it has none.

    The section starts at the last solution tag that directly follows the end of a thought, or else at the last
    solution tag, so a thought with a code block left open hides nothing. It ends at the last tag that ends one.
    """
    tags = find_tags(converted_text)
    pairs = [(one, tag) for one, tag in pairwise(tags) if tag.opens("solution") and one.closes("thought")]
    starts = [tag.end for one, tag in pairs if not converted_text[one.end : tag.start].strip()]
    starts = starts or [tag.end for tag in tags if tag.opens("solution")]
    if not starts:
        return None
    solution = converted_text[starts[-1] :]
    closed = [block for block in find_code_blocks(solution) if block.closed]
    ends = [tag.start for tag in find_tags(solution) if tag.closes("solution")]
    ends = [end for end in ends if not any(block.start <= end < block.end for block in closed)]
    return solution[: ends[-1]] if ends else solution


def find_program(converted_text: str, target: ProgramTarget) -> str | None:
    """The program of a converted answer; None if it has none. Of two that fit equally, the last one."""
    solution = solution_of(converted_text)
    return None if solution is None else choose_program(solution, target).program


@lru_cache(CACHED)
def choose_program(solution: str, target: ProgramTarget) -> ProgramChoice:
    """The program of a solution, see the module."""
    if _is_bare_program(solution, target):
        return ProgramChoice(solution, fits=True)  # its fences, if any, are in strings
    readings = block_readings(solution)
    clean = [blocks for blocks in readings if len(readings) > 1 and not any(map(_is_broken, blocks))]
    found = [_choose_of_reading(blocks, target, solution) for blocks in clean or readings]
    fitting = [choice for choice in found if choice.fits]
    if not fitting and (unfenced := _choose_unfenced(solution, find_code_blocks(solution), target)):
        return unfenced
    if len(fitting) > 1 and len({syntax_text(choice.program or "") for choice in fitting}) > 1:
        return replace(fitting[0], undecided=TWO_READINGS)
    best = (fitting or [choice for choice in found if choice.program is not None and _parses(choice.program)])[:1]
    return (best or found)[0]


def _choose_of_reading(blocks: Sequence[CodeBlock], target: ProgramTarget, solution: str) -> ProgramChoice:
    """The choice among the blocks of one reading of a solution, and among those that are a program together."""
    choice = _choose(with_joined_blocks(blocks, solution), target, solution)
    parts = tuple(part for block in choice.blocks for part in block.parts or (block,))
    return replace(choice, blocks=parts, reading=tuple(blocks))


def _is_bare_program(solution: str, target: ProgramTarget) -> bool:
    if names_python(solution.lstrip().partition("\n")[0].strip()):
        return False  # the name of the language, without its fence
    if has_words_at_ends(solution):
        return False
    return is_program(solution) or bool(target.function and _defines(solution, target.function))


def _choose_unfenced(solution: str, fenced: Sequence[CodeBlock], target: ProgramTarget) -> ProgramChoice | None:
    """The choice outside of code blocks: a program that fits, if there is one."""
    for block in fenced:
        solution = solution[: block.start] + " " * (block.end - block.start) + solution[block.end :]
    blocks = unfenced_blocks(solution)
    choice = replace(
        _choose(blocks, target, solution), reading=tuple(sorted((*fenced, *blocks), key=lambda block: block.start))
    )
    if not choice.fits:
        return None
    if target.function and sum(_defines(block.code, target.function) for block in blocks) > 1:
        return replace(choice, undecided=TWO_UNFENCED)
    return choice


def _choose(blocks: Sequence[CodeBlock], target: ProgramTarget, solution: str) -> ProgramChoice:
    """The choice among the blocks of one reading of a solution."""
    candidates = find_candidates(blocks, target.function)
    if not any(target.function in each.own.functions if target.function else each.complete for each in candidates):
        typed = [(block, transcript_input(block.code)) for block in blocks]
        if found := [each for each in typed if _fits(each[1], target)]:
            return ProgramChoice(found[-1][1], (found[-1][0],), fits=True)
    if not candidates:
        return _broken(blocks, target)
    if target.function:
        defining = [each for each in candidates if target.function in each.own.functions]
        written = [each for each in defining if target.function not in each.own.stubs]
        last = (written or defining or candidates)[-1]
        left = without_excerpts(_by_introduction(written, solution), target.function)
        choice = _chosen((left or [last])[-1], fits=bool(defining))
        return replace(choice, introduced=choice.blocks != last.blocks)
    complete = complete_programs(candidates)
    if complete:
        left = _by_introduction(complete, solution)
        undecided = TWO_PROGRAMS if len(left) > 1 else ""
        return replace(_chosen(left[-1], fits=True), introduced=left != complete, undecided=undecided)
    reading = [each for each in candidates if each.facts.mentions_input]
    if not reading and not target.reads_input:
        reading = [each for each in candidates if each.facts.functions and len(each.blocks) == 1]
    return _chosen((reading or candidates)[-1], fits=bool(reading))


def _by_introduction(candidates: list[Candidate], solution: str) -> list[Candidate]:
    """The candidates that the lines before them leave, of those that fit; see the module."""
    corrected = [each for each in candidates if _is_introduced(each, solution, CORRECTED)]
    left = [each for each in candidates if each in corrected or not _is_introduced(each, solution, REJECTED)]
    final = [each for each in left if _is_introduced(each, solution, FINAL)]
    final = final or [each for each in left[-1:] if each in corrected]
    return final if len(final) == 1 else left or candidates


def _is_introduced(candidate: Candidate, solution: str, word: Pattern) -> bool:
    return is_introduced(solution[: candidate.blocks[-1].start], word)


def _broken(blocks: Sequence[CodeBlock], target: ProgramTarget) -> ProgramChoice:
    """The choice if no block parses: Python by its fence, or code without a language, else any block of code."""
    code = [block for block in blocks if looks_like_code(block.code)]
    python = [block for block in code if block.is_python] or [block for block in code if not block.language]
    named = [block for block in python if target.function and f"def {target.function}(" in block.code]
    others = [block for block in code if block.language not in _DATA]
    rest = [block for block in blocks if block.is_python and block.code.strip()]
    block = (named or python or others or rest or [None])[-1]
    return ProgramChoice(None) if block is None else ProgramChoice(block.code, (block,))


def _is_broken(block: CodeBlock) -> bool:
    """Whether a block cannot be parsed although its fence names Python or no language; it may be words."""
    return (block.is_python or not block.language) and bool(block.code.strip()) and not _parses(block.code)


def _chosen(candidate: Candidate, fits: bool) -> ProgramChoice:
    return ProgramChoice(candidate.program, candidate.blocks, fits=fits)


def _fits(code: str, target: ProgramTarget) -> bool:
    """Whether code defines the function that is asked for, or else reads input and prints."""
    facts = program_facts(code)
    if target.function or facts is None:
        return facts is not None and target.function in facts.functions
    return facts.reads and facts.prints


def _defines(code: str, function: str) -> bool:
    facts = program_facts(code)
    return facts is not None and function in facts.functions


def _parses(program: str) -> bool:
    return syntax_tree(program) is not None
