"""Code blocks of a text, between fences the way models write them.

A fence is at least three backticks or tildes (CommonMark 4.5). Unlike CommonMark's, an opening fence may be indented by
a list or a quote, or follow words on its line; a closing fence may be at the end of the last line of code, or before a
special token or words. If code up to a fence is not Python but code up to a later fence is, the block ends there: a
fence within a string does not close it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from textwrap import dedent

from hindsight.text.programs import ends_in_string, is_program, syntax_tree
from hindsight.text.special_tokens import SPECIAL_TOKEN
from hindsight.text.uniform_format import CACHED, TAG, find_tags

_PYTHON = re.compile(r"(?:i?python|py|pypy|sage)\d*(?:\.\d+)*")
_FENCE = re.compile(r"(([`~])\2{2,})([^\n]*)")
_MARGIN = re.compile(r"[ \t]*(?:>[ \t]?)*[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?")
_TOKENS_AT_END = re.compile(rf"(?:{SPECIAL_TOKEN.pattern}|{TAG.pattern}|\s)+\Z")
_TURN_AFTER = re.compile(rf"[ \t]*(?:{SPECIAL_TOKEN.pattern})")  # another turn on the line of a closing fence
_OF_WORDS = ("markdown", "md", "text", "txt", "plaintext", "plain", "")  # languages of a block of words
_WRAPPER = re.compile(
    rf"(?:`{{3,}}|~{{3,}})[ \t]*(?:{'|'.join(filter(None, _OF_WORDS))})\b|`{{4}}|~{{4}}", re.IGNORECASE
)
_CODE = re.compile(r"[=(\[{]|^[ \t]*(?:import|from|def|class|for|while|if|return|print)\b", re.MULTILINE)
_FIRST_LINE = re.compile(
    r"^(?:(?:import|from|def|async def|class) |@|#|\"\"\"|'''|[A-Za-z_][\w, ]*=|print\(|try:"
    r"|(?:if|for|while|with) .*:)",
    re.MULTILINE,
)
_FIRST_CODE = re.compile(
    r"(?:import|from|def|async def|class|for|while|if|with)\b.*|(?:try:|print\(|@).*|[A-Za-z_]\w* = .*"
)
_MANY_LINES = re.compile(r"\"\"\"|'''")  # a string of several lines begins or ends
MOST_BLOCKS = 256  # a text with more blocks repeats itself; these are neither joined nor parted from words
_MOST_FENCES = 256  # after an opening fence, of which one may close its block
_MOST_ENDS = 16  # closing fences that are tried for a block


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block: `start` and `end` are offsets of the whole block, fences included, in the text, `code_start` and
    `code_end` those of its code.

    `language` is the first word after the opening fence, in lower case; `closed`: it has a closing fence; `regular`:
    any reader of Markdown finds it; `parts`: the blocks whose codes it joins, if it is a program in several blocks.
    """

    code: str
    language: str
    fence: str
    start: int
    end: int
    code_start: int
    code_end: int
    closed: bool
    regular: bool
    parts: tuple["CodeBlock", ...] = ()

    @property
    def is_python(self) -> bool:
        """Whether its fence names Python."""
        return names_python(self.language)


@dataclass(frozen=True)
class _Mark:
    """A line with a fence. start, place, end: the offsets of the line, the fence and the line's end.

    margin: whether only a margin (blank space, the mark of a list or a quote) is before the fence; bare: whether
    nothing that counts follows it; in_list: whether the mark of a list is before it.
    """

    start: int
    place: int
    end: int
    indent: int
    fence: str
    info: str
    margin: bool
    bare: bool
    regular: bool
    in_list: bool

    @property
    def end_of_code(self) -> int:
        """The offset where the code before the fence ends."""
        return self.start if self.margin else self.place

    @cached_property
    def language(self) -> str:
        words = re.split(r"[\s:,;{}=]", self.info.strip().lstrip("{."))
        return words[0].lower()

    @cached_property
    def names_python(self) -> bool:
        return names_python(self.language)

    @property
    def first_code(self) -> str:
        """The first line of code, if it is on the line of a fence that names Python."""
        rest = self.info.strip().partition(" ")[2].strip()
        return rest if self.names_python and _FIRST_CODE.match(rest) else ""

    @property
    def opens(self) -> bool:
        """Whether it may open a block: after words, only if nothing or Python's name follows it."""
        return self.margin or self.bare or names_python(self.info.strip())

    def may_close(self, opening: "_Mark") -> bool:
        return self.fence[0] == opening.fence[0] and len(self.fence) >= len(opening.fence)


def names_python(word: str) -> bool:
    """Whether a word is a name of Python, with or without a version."""
    return _PYTHON.fullmatch(word.lower()) is not None


def fenced(code: str) -> str:
    """A program in a code block, whose fence is longer than any in the program."""
    longest = max(map(len, re.findall(r"^[ \t]*(`{3,})", code, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}python\n{code.strip()}\n{fence}"


def looks_like_code(text: str) -> bool:
    """Whether a text has a bracket, an equals sign, or a line that begins with a Python keyword."""
    return _CODE.search(text) is not None


def find_code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """The code blocks of a text, in order. An unclosed block extends to the next one or to the end of the text."""
    return block_readings(text)[0]


@lru_cache(CACHED)
def block_readings(text: str) -> tuple[tuple[CodeBlock, ...], ...]:
    """The ways to read a text's code blocks: one, or two if it may begin with code whose opening fence is missing."""
    marks = _marks(text)
    usual = _blocks(text, marks)
    first = _headless_block(text, marks)
    if first is None:
        return (usual,)
    headless = (first[0], *_blocks(text, marks[first[1] :]))
    odd = usual and not usual[-1].closed
    return (headless, usual) if odd else (usual, headless)


def without_wrapper(text: str) -> str:
    """The text without the fences around words that have code blocks in them, unless there is a program outside."""
    blocks = find_code_blocks(text) if _WRAPPER.search(text) else ()
    wrapper = next((each for each in blocks if each.language in _OF_WORDS and not is_program(each.code)), None)
    if wrapper is None:
        return text
    opening, *marks = [mark for mark in _marks(text) if mark.place >= wrapper.start]
    closing, inner = _closing_of_wrapper(opening, marks)
    before, after = text[: opening.place].rstrip(" \t"), text[closing.end :] if closing else ""
    if not inner or any(is_program(each.code) for part in (before, after) for each in find_code_blocks(part)):
        return text
    return before + text[opening.end : closing.end_of_code if closing else len(text)].strip("\n") + after


def _closing_of_wrapper(opening: _Mark, marks: Sequence[_Mark]) -> tuple[_Mark | None, bool]:
    """The fence that closes a block of words, and whether there are code blocks in it."""
    depth, inner = 0, False
    for mark in marks:
        if mark.bare and mark.may_close(opening) and (depth == 0 or len(mark.fence) > len(opening.fence)):
            return mark, inner
        if mark.opens:
            depth = depth - 1 if mark.bare and depth else depth + 1
            inner = True
    return None, inner


def _marks(text: str) -> list[_Mark]:
    marks = []
    for match in _FENCE.finditer(text):
        fence, _, info = match.groups()
        start = text.rfind("\n", 0, match.start()) + 1
        before = text[start : match.start()]
        if before[-1:] in (">", "]") and (tags := find_tags(before)) and tags[-1].end == len(before):
            start, before = match.start(), ""  # a fence may follow a tag
        rest = _TOKENS_AT_END.sub("", info) if info.rstrip()[-1:] in (">", "]") else info.rstrip()
        rest = "" if _TURN_AFTER.match(rest) else rest
        margin = _MARGIN.fullmatch(before) is not None
        if (fence[0] == "`" and "`" in rest) or (not margin and (fence[0] == "~" or "`" in before)):
            continue  # code within a line
        marks.append(
            _Mark(
                *(start, match.start(), match.end()),
                indent=len(before.expandtabs(4)) if margin else 0,
                fence=fence,
                info=rest,
                margin=margin,
                bare=not rest.strip(),
                regular=not before.strip() and rest.strip() == info.strip(),
                in_list=bool(before.strip(" \t>")),
            )
        )
    return marks


def _blocks(text: str, marks: Sequence[_Mark]) -> tuple[CodeBlock, ...]:
    blocks: list[CodeBlock] = []
    number = 0
    while number < len(marks):
        opening = marks[number]
        if not opening.opens:
            number += 1
            continue
        closing, closed = _closing(text, opening, marks[number + 1 : number + 1 + _MOST_FENCES])
        last = marks[number + 1 + closing] if closing is not None else None
        blocks.append(_block(text, opening, last, closed))
        number = len(marks) if closing is None else number + 1 + closing + closed
    return tuple(blocks)


def _closing(text: str, opening: _Mark, marks: Sequence[_Mark]) -> tuple[int | None, bool]:
    """The index of the mark that ends a block, and whether it is its closing fence; None: the end of the text.

    A fence on its own line outside a string is not Python, so the longest code that parses is the block.
    """
    may_close = [i for i, mark in enumerate(marks) if mark.may_close(opening)]
    if not may_close:  # a shorter fence
        may_close = [i for i, mark in enumerate(marks) if mark.bare and mark.fence[0] == opening.fence[0]]
    usual = [i for i in may_close if marks[i].margin and marks[i].bare and marks[i].indent < opening.indent + 4]
    first = usual[0] if usual else None
    if opening.language and not opening.names_python:
        return first, first is not None
    if usual and usual[0] == may_close[0] and not _MANY_LINES.search(text, opening.end, marks[usual[0]].start):
        return first, True  # it is in no string
    longest = None
    for each in may_close[:_MOST_ENDS]:
        code = _code(text, opening, marks[each].end_of_code)
        if syntax_tree(code) and (code.strip() or each in usual):
            longest = each
        if each in usual and not ends_in_string(code):
            break
    else:
        if syntax_tree(_code(text, opening, len(text))):
            return None, False
    if longest is not None:
        return longest, not (marks[longest].margin and marks[longest].names_python)
    before = [each for each in may_close if first is None or each < first]
    interrupted = [each for each in before if marks[each].margin and marks[each].names_python]
    return (interrupted[0], False) if interrupted else (first, first is not None)


def _code(text: str, opening: _Mark, end: int) -> str:
    """The code from an opening fence to an offset, without the margin of a list or a quote, if any."""
    code = (f"{opening.first_code}\n" if opening.first_code else "") + text[opening.end + 1 : end]
    if depth := text.count(">", opening.start, opening.place):
        code = re.sub(rf"^[ \t]*(?:>[ \t]?){{1,{depth}}}", "", code, flags=re.MULTILINE)
    elif opening.margin and opening.indent:
        code = re.sub(rf"^[ \t]{{0,{opening.place - opening.start}}}", "", code, flags=re.MULTILINE)
    first = code.lstrip("\r\n")[:1]
    return dedent(code) if first in (" ", "\t") and syntax_tree(dedent(code)) else code


def _block(text: str, opening: _Mark, last: _Mark | None, closed: bool) -> CodeBlock:
    end = len(text) if last is None else last.end_of_code
    regular = (
        opening.regular
        and not opening.first_code
        and (last is None or (closed and last.regular and last.margin and last.bare))
    )
    after = len(text) if last is None else last.place + len(last.fence)
    after = after if last is None or text[after : last.end].strip() else last.end
    return CodeBlock(
        _code(text, opening, end),
        opening.language,
        opening.fence,
        *(opening.start if opening.margin and not opening.in_list else opening.place, after if closed else end),
        *(min(opening.end + 1, end), end),
        closed,
        regular,
    )


def _headless_block(text: str, marks: Sequence[_Mark]) -> tuple[CodeBlock, int] | None:
    """The code before the first fence of a text that is not in a string of it, if it is a program, and the number of
    fences up to its end: its opening fence is missing, as in answers to prompts that have opened a block. Words before
    the first line of code do not belong to it."""
    start = _FIRST_LINE.search(text, 0, marks[0].end_of_code) if marks else None
    if start is None or looks_like_code(text[: start.start()]):
        return None
    longest = None
    for number, mark in enumerate(marks[:_MOST_ENDS]):
        code = text[start.start() : mark.end_of_code]
        if mark.bare and is_program(code):
            code_at = start.start(), mark.end, start.start(), mark.end_of_code
            block = CodeBlock(code, "", mark.fence, *code_at, closed=True, regular=False)
            longest = block, number + 1
        if mark.margin and not ends_in_string(code):
            break
    return longest
