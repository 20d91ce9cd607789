"""Programs that an answer gives in several code blocks, of which each continues the lines of the one before.

    ```python
    def add(a, b):
    ```
    and then
    ```python
        return a + b
    ```

A block whose first line is indented, or begins with `else` or `except`, continues the block before it if the two
together can be parsed, and if the first one needs it: it cannot be parsed alone, or only with the second one it
returns, prints, or has the method or the `else`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from textwrap import dedent

from hindsight.text.code_blocks import MOST_BLOCKS, CodeBlock
from hindsight.text.programs import ProgramFacts, program_facts, syntax_tree

_CLAUSE = re.compile(r"\s*(?:else|elif|except|finally)\b")
_DEFINITION = re.compile(r"\s*(?:@|def |async def )")
_INNER_LINE = re.compile(rf"\s*\n[ \t]|[ \t]|{_CLAUSE.pattern}")
_MOST_PARTS = 16  # blocks that are tried as parts of a program


def with_joined_blocks(blocks: Sequence[CodeBlock], text: str) -> tuple[CodeBlock, ...]:
    """The blocks of a text, with one in place of those that are a program only together."""
    found: list[CodeBlock] = list(blocks) if len(blocks) > MOST_BLOCKS else []
    number = len(found)
    while number < len(blocks):
        parts = blocks[number : number + 1 + _continuations(blocks[number + 1 :], text)]
        joined = next((each for size in range(len(parts), 1, -1) if (each := _join(parts[:size], text))), parts[0])
        found.append(joined)
        number += max(len(joined.parts), 1)
    return tuple(found)


def _continuations(blocks: Sequence[CodeBlock], text: str) -> int:
    """The number of blocks, from the first, that may continue one before them."""
    count = 0
    while count < min(len(blocks), _MOST_PARTS) and _continues(blocks[count], text):
        count += 1
    return count


def _continues(block: CodeBlock, text: str) -> bool:
    return (block.is_python or not block.language) and _INNER_LINE.match(_written(block, text)) is not None


def _written(block: CodeBlock, text: str) -> str:
    """The code of a block with its own indentation, without that of its fence."""
    line = text[text.rfind("\n", 0, max(block.code_start - 1, 0)) + 1 : block.code_start]
    margin = max(line.find(block.fence), 0)
    return re.sub(rf"^[ \t]{{0,{margin}}}", "", text[block.code_start : block.code_end], flags=re.MULTILINE)


def _join(parts: Sequence[CodeBlock], text: str) -> CodeBlock | None:
    """The parts as one block, None if they are no program together or the first needs no other."""
    start, *rest = (_written(part, text).rstrip() + "\n" for part in parts)
    codes = "".join((dedent(start), *rest)), dedent("".join((start, *rest)))
    code = next(filter(syntax_tree, codes), "(")
    joined, first = program_facts(code), program_facts(parts[0].code)
    if (
        joined is None
        or not (parts[0].is_python or not parts[0].language)
        or (first and not _gains(first, joined, rest[0]) and not _is_new_clause(rest[0], parts[0].code))
    ):
        return None
    last = parts[-1]
    end = {"end": last.end, "code_end": last.code_end, "closed": last.closed}
    return replace(parts[0], code=code, **end, parts=tuple(parts))


def _is_new_clause(part: str, first: str) -> bool:
    """Whether a part begins with an `else` or `except`, and is no excerpt of the code before it."""
    lines = {line.strip() for line in first.splitlines()}
    return _CLAUSE.match(part) is not None and not all(line.strip() in lines for line in part.splitlines())


def _gains(first: ProgramFacts, joined: ProgramFacts, part: str) -> bool:
    """Whether joined code has what its first part lacks, of which no function was whole."""
    prints = joined.mentions_output and not (first.mentions_output or first.ending)
    method = _DEFINITION.match(part) is not None and not joined.functions <= first.functions
    return prints or method or not joined.ending <= first.ending
