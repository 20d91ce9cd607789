"""A reformatting model's reply, and what it makes of a raw answer: both sections, or a cut where its quotes are.

In mode "rewrite" the model returns the two sections; in mode "cut" three short quotes: the last words of the thought,
the first and the last line of the final program. The quotes must be found in the answer, and the answer is cut there,
so that nothing in it can change. A reply is a JSON object where the server keeps to a schema, else it has tags.
"""

import json
import re
from dataclasses import dataclass

from hindsight.conversion.proof import FENCES, NotKept, code_of
from hindsight.conversion.reader import read, without_tags
from hindsight.conversion.sections import Sections, Unread, syntax_tree
from hindsight.text.code_blocks import CodeBlock, fenced, find_code_blocks
from hindsight.text.prompts import CUT_EXAMPLE

MODES = ("cut", "rewrite")


@dataclass(frozen=True)
class Quotes:
    """Where a model says that the thought ends, and the final program begins and ends.

    Of code only a whole line counts: the first that was quoted as the beginning, the last as the end.
    """

    thought_end: str
    code_begin: str
    code_end: str

    @property
    def first_line(self) -> str:
        return next(iter(_code_lines(self.code_begin)), "")

    @property
    def last_line(self) -> str:
        return next(iter(_code_lines(self.code_end)[::-1]), "")


def sections_of(reply: str, answer: str, mode: str, structured: bool) -> Sections:
    """What a reply makes of an answer. Raises NotKept when it is not in the form that was asked for, or not found."""
    if mode == "cut":
        return cut(answer, Quotes(**_fields(reply, tuple(CUT_EXAMPLE), structured)))
    if structured:
        found = Sections(**_fields(reply, ("thought", "solution"), structured))
        return Sections(found.thought.strip(), found.solution.strip())
    try:
        found = read(reply)
    except Unread as error:
        raise NotKept(f"the reply is not the two sections: {error}") from None
    if found.rule != "sections":
        raise NotKept("the reply is not the two sections, each between its tags")
    return found


def cut(answer: str, quotes: Quotes) -> Sections:
    """The sections of an answer that is cut at the quotes; raises NotKept where these do not say one place.

    The thought ends with the word that the quote ends in, or with the code block that it ends in. The solution is the
    rest up to the program and behind it, up to another code block. Tags that are structure are left out.
    """
    if not quotes.first_line:
        place = _thought_end(answer, quotes.thought_end, len(answer))
        return _sections(answer[:place], answer[place:])
    block = _final_block(answer, quotes)
    if block is not None and block.closed:
        begin, end, code = block.start, block.end, answer[block.start : block.end]
    else:
        begin, end, code = _bare_code(answer, quotes, block)
    place = _thought_end(answer, quotes.thought_end, begin)
    others = [each.start for each in find_code_blocks(answer[end:])] if block is None or block.closed else []
    after = answer[end : end + others[0]] if others else answer[end:]
    return _sections(answer[:place], answer[place:begin], code, after)


def _sections(thought: str, *solution: str) -> Sections:
    parts = [without_tags(solution[0]), *solution[1:2], *map(without_tags, solution[2:])]
    return Sections(without_tags(thought).strip(), "\n\n".join(part.strip() for part in parts if part.strip()))


def _thought_end(answer: str, quote: str, limit: int) -> int:
    """Where the thought ends: after the quote, which stands once before the limit, and the word or block it ends in."""
    if not quote.strip():
        return 0
    pattern = r"\s+".join(map(re.escape, quote.split()))
    found = list(re.finditer(pattern, answer[:limit]))
    if len(found) != 1:
        where = "in several places" if found else "not" if not re.search(pattern, answer) else "only behind the code"
        raise NotKept(f"thought_end stands {where} in the answer before the final program; quote other words, or more")
    end = found[0].end()
    while end < limit and not answer[end].isspace():
        end += 1
    inside = [
        block.end for block in find_code_blocks(answer[:limit]) if block.closed and block.start < end <= block.end
    ]
    return inside[0] if inside else end


def _final_block(answer: str, quotes: Quotes) -> CodeBlock | None:
    """The one code block that has both lines; the last one where several have the same code; None: no block has."""
    found = [block for block in find_code_blocks(answer) if _lines_between(code_of(block), quotes)]
    if len({code_of(block).strip() for block in found}) > 1:
        raise NotKept("code_begin and code_end stand in several code blocks; quote other lines")
    return found[-1] if found else None


def _bare_code(answer: str, quotes: Quotes, block: CodeBlock | None) -> tuple[int, int, str]:
    """Where a program without both its fences begins and ends, and the program in a code block.

    It stands in the block that is not closed, or else in the text outside of all that are.
    """
    start = block.start if block else 0
    text = answer if block else _blocks_hidden(answer)
    places = _lines_between(text[start:], quotes)
    if not places:
        raise NotKept("no code block of the answer has both code_begin and code_end; quote whole lines, as they stand")
    begin, end = start + places[0], start + places[1]
    code = text[begin:end].rstrip().removesuffix("```")
    if not syntax_tree(code):
        raise NotKept("what stands from code_begin to code_end is not a Python program")
    return (start if block else begin), end, fenced(code)


def _blocks_hidden(answer: str) -> str:
    """The answer with a question mark for each character of its closed code blocks but line ends: no line of code."""
    for block in find_code_blocks(answer):
        if block.closed:
            hidden = re.sub(r".", "?", answer[block.start : block.end])
            answer = f"{answer[: block.start]}{hidden}{answer[block.end :]}"
    return answer


def _lines_between(text: str, quotes: Quotes) -> tuple[int, int] | None:
    """Where the first line begins that is code_begin, and where the last one ends that is code_end."""
    begin, end = None, None
    place = 0
    for line in text.splitlines(keepends=True):
        shown = _code_line(line)
        if begin is None and shown == quotes.first_line:
            begin = place
        place += len(line)
        if begin is not None and shown == quotes.last_line:
            end = place
    return None if begin is None or end is None else (begin, end)


def _code_lines(quote: str) -> list[str]:
    """The lines of a quote from code that are neither blank nor a fence."""
    lines = (_code_line(line) for line in quote.splitlines() if not line.lstrip().startswith(FENCES))
    return [line for line in lines if line]


def _code_line(line: str) -> str:
    return line.strip().removesuffix("```").rstrip()


def _fields(reply: str, names: tuple[str, ...], structured: bool) -> dict[str, str]:
    """The named texts of a reply: of its JSON object, or between its tags."""
    if structured:
        try:
            found = json.loads(reply)
        except ValueError:
            raise NotKept("the reply is not whole JSON") from None
        if not isinstance(found, dict) or any(not isinstance(found.get(name), str) for name in names):
            raise NotKept(f"the reply is not an object with the texts {', '.join(names)}")
        return {name: found[name] for name in names}
    found = {name: re.findall(f"<{name}>(.*?)</{name}>", reply, re.DOTALL) for name in names}
    if any(len(texts) != 1 for texts in found.values()):
        raise NotKept(f"the reply does not have each of <{'>, <'.join(names)}> once, with its end")
    return {name: texts[0] for name, texts in found.items()}
