"""Programs in a text without code blocks: between fences within a line, or in lines of code between words.

The program is ```python print(input())``` and that is all.

Here is the program:
n = int(input())
print(n + 1)
It prints the next number.
"""

import re
from collections.abc import Sequence
from keyword import iskeyword
from textwrap import dedent

from hindsight.text.code_blocks import CodeBlock
from hindsight.text.programs import does_nothing, is_program, last_line_that_acts, syntax_error_line, syntax_tree

_WITHIN_LINE = re.compile(r"(`{3,})[ \t]*(?:py(?:thon)?\d*[ \t]+)?([^`\n]+?)[ \t]*\1")
_FIRST_LINE = re.compile(
    r"\s*+(?:(?:import|from|def|async def|class) \w|@\w|[A-Za-z_][\w, ]* = |print\(|try:|(?:if|for|while|with)\b.*:)"
)
_LINE_OF_CODE = re.compile(
    r"\s*+(?:(?:def|class) \w+.*:|(?:import|from) \w+|return\b.*[^.]$|@\w+|(?:if|elif|for|while|with|except)\b.*:\s*$"
    r"|(?:else|try|finally):|[A-Za-z_][\w.,\[\] ]* [-+*/]?= |[\w.]+\([^)]*\)\s*$|[)\]}]+\s*$|.*\"\"\"|pass\s*$)"
)
_WORDS = re.compile(
    r" {0,3}[*_`\"(]{0,3}(?P<first>[A-Za-z'’][A-Za-z0-9'’]*)[*_`\")]{0,3}"
    r"(?:[,.:;!]?[*_]{0,2} [*_`\"(]{0,3}[A-Za-z0-9]|[.:!][*_]{0,2}\s*$)"
)
_MARKUP = re.compile(
    r" {0,3}(?:[-*+|=>]+(?:\s|$)|\d{1,3}[.)]\s|</?[A-Za-z|]|\[/?[A-Z]|\[/?code\]|'''\w*\s*$|`(?!`)|\$|\\`"
    r"|\\(?:begin|end)\{|O\([^()]*\)(?: |$)|[*_#(\d]*[^\x00-\x7f])"  # in other scripts, or after a sign
)
_ABOUT_CODE = re.compile(r" {0,3}\w+(?:\([^()]*\))? (?P<verb>[a-z]{2,}) \S")  # "add(1, 2) returns 3"
_MOST_STARTS = 64  # lines that are tried as the first of a program


def unfenced_blocks(text: str) -> tuple[CodeBlock, ...]:
    """The programs of a text without code blocks, in order; none if there is other code outside them, as with a broken
    program."""
    return blocks_within_lines(text) or _blocks_amid_words(text)


def blocks_within_lines(text: str) -> tuple[CodeBlock, ...]:
    """The Python between fences that open and close in the same line."""
    matches = [match for match in _WITHIN_LINE.finditer(text) if syntax_tree(match[2])]
    return tuple(_block(match[2], match.start(), match.end(), closed=True) for match in matches)


def _blocks_amid_words(text: str) -> tuple[CodeBlock, ...]:
    lines = text.splitlines(keepends=True)
    blocks: list[CodeBlock] = []
    number = place = starts = 0
    while number < len(lines):
        size = 0
        if _FIRST_LINE.match(lines[number]) and starts < _MOST_STARTS:
            starts, size = starts + 1, _lines_of_program(lines[number:])
        if not size and _LINE_OF_CODE.match(lines[number]) and not does_nothing(lines[number]):
            return ()
        part = "".join(lines[number : number + max(size, 1)])
        if size:
            blocks.append(
                _block(dedent(part), place, place + len(part), closed=bool(text[place + len(part) :].strip()))
            )
        place, number = place + len(part), number + max(size, 1)
    return tuple(blocks)


def _lines_of_program(lines: Sequence[str]) -> int:
    """The number of lines, from the first, that form a program that ends the text or is followed by words; else 0."""
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    outside = (number for number, line in enumerate(lines) if line.strip() and not line.startswith(margin))
    size = next(outside, len(lines))
    while size > 0:
        code = dedent("".join(lines[:size]))
        if (error := syntax_error_line(code)) is None:
            size = last_line_that_acts(code) if is_program(code) else 0
            following = next((line for line in lines[size:] if not does_nothing(line)), "")
            return size if not following or is_words(following) else 0
        size = min(size, error) - 1
    return 0


def is_words(line: str) -> bool:
    """Whether a line is words or markup, not broken or truncated code."""
    if match := _WORDS.match(line):
        return not iskeyword(match["first"])
    about = _ABOUT_CODE.match(line)
    return _MARKUP.match(line) is not None or (about is not None and not iskeyword(about["verb"]))


def _block(code: str, start: int, end: int, closed: bool) -> CodeBlock:
    return CodeBlock(code, "python", "```", start, end, start, end, closed=closed, regular=False)
