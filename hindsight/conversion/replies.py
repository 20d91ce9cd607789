"""Reads a reformatting model's reply: the two sections of a raw answer, or three quotes where the answer is cut.

In mode "rewrite" the model returns both sections. In mode "cut" it quotes the last words of the thought and the first
and last line of the final program; the answer is cut where these quotes are found, so no word of it can change. A reply
is a JSON object if the server follows schemas, else tagged text.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hindsight.conversion.fidelity import NotFaithful, block_code, code_line, code_lines
from hindsight.conversion.reformat_prompts import CUT_EXAMPLE, REWRITE_EXAMPLE
from hindsight.conversion.sections import Sections, Undecided, closed_blocks, without_structure_tags
from hindsight.conversion.well_formed import read_well_formed
from hindsight.text.code_blocks import CodeBlock, fenced, find_code_blocks
from hindsight.text.programs import syntax_tree


@dataclass(frozen=True)
class Quotes:
    """A model's quotes from the end of the thought and from the beginning and the end of the final program.

    Code is found by whole lines: the first line of `code_begin`, the last line of `code_end`.
    """

    thought_end: str
    code_begin: str
    code_end: str

    @property
    def first_line(self) -> str:
        return next(iter(code_lines(self.code_begin)), "").strip()

    @property
    def last_line(self) -> str:
        return next(iter(code_lines(self.code_end)[::-1]), "").strip()


def sections_of(reply: str, answer: str, mode: str, structured: bool) -> Sections:
    """The sections of an answer by a reply. Raises NotFaithful if the reply has another form, or its quotes fail."""
    if mode == "cut":
        return cut(answer, Quotes(**_fields(reply, CUT_EXAMPLE, structured)))
    if structured:
        found = Sections(**_fields(reply, REWRITE_EXAMPLE, structured))
        return Sections(found.thought.strip(), found.solution.strip())
    try:
        found = read_well_formed(reply)
    except Undecided as error:
        raise NotFaithful(f"the reply is not the two sections: {error}") from None
    if found is None:
        raise NotFaithful("the reply is not the two sections")
    if found.rule != "sections":
        raise NotFaithful("the reply is not the two sections, each between its tags")
    return found


def cut(answer: str, quotes: Quotes) -> Sections:
    """Cuts an answer at the quotes. Raises NotFaithful if they are not found in exactly one place.

    The thought ends with the word or the code block in which the quote ends. The solution is the text from there to the
    program, the program, and the text after it up to another code block. Structure tags are dropped.
    """
    if not quotes.first_line:
        place = _thought_end(answer, quotes.thought_end, len(answer))
        return _sections(answer[:place], answer[place:])
    block = _final_block(answer, quotes)
    if block is not None and block.closed:
        begin, end = block.start, block.end
        code = answer[begin:end] if block.regular else fenced(block.code)
    else:
        begin, end, code = _bare_code(answer, quotes, block)
    place = _thought_end(answer, quotes.thought_end, begin)
    others = [each.start for each in find_code_blocks(answer[end:])] if block is None or block.closed else []
    after = answer[end : end + others[0]] if others else answer[end:]
    return _sections(answer[:place], answer[place:begin], code, after)


def _sections(thought: str, *solution: str) -> Sections:
    parts = [without_structure_tags(solution[0]), *solution[1:2], *map(without_structure_tags, solution[2:])]
    return Sections(
        without_structure_tags(thought).strip(), "\n\n".join(part.strip() for part in parts if part.strip())
    )


def _thought_end(answer: str, quote: str, limit: int) -> int:
    """The offset where the thought ends: after the quote, and after the word or code block in which it ends.

    The quote must occur once before the offset `limit`.
    """
    if not quote.strip():
        return 0
    pattern = r"\s+".join(map(re.escape, quote.split()))
    found = list(re.finditer(pattern, answer[:limit]))
    if len(found) != 1:
        missing = "only after the final program" if re.search(pattern, answer) else "nowhere in the answer"
        where = "in several places before the final program" if found else missing
        raise NotFaithful(f"thought_end occurs {where}; quote other words, or more")
    end = found[0].end()
    while end < limit and not answer[end].isspace():
        end += 1
    inside = [block.end for block in closed_blocks(answer[:limit]) if block.start < end <= block.end]
    return inside[0] if inside else end


def _final_block(answer: str, quotes: Quotes) -> CodeBlock | None:
    """The code block with both lines, None if no block has them; of several with the same code, the last."""
    found = [block for block in find_code_blocks(answer) if _lines_between(block_code(block), quotes)]
    if len({block_code(block).strip() for block in found}) > 1:
        raise NotFaithful("code_begin and code_end occur in several code blocks; quote other lines")
    return found[-1] if found else None


def _bare_code(answer: str, quotes: Quotes, block: CodeBlock | None) -> tuple[int, int, str]:
    """The offsets of a program that lacks a fence, and the program in a code block.

    It is searched for in the unclosed block, or without one in the text outside of the closed blocks.
    """
    start = block.start if block else 0
    text = answer if block else _blocks_hidden(answer)
    places = _lines_between(text[start:], quotes)
    if not places:
        raise NotFaithful("no code block of the answer has both code_begin and code_end; quote whole lines, unchanged")
    begin, end = start + places[0], start + places[1]
    code = text[begin:end].rstrip().removesuffix("```")
    if not syntax_tree(code):
        raise NotFaithful("the text from code_begin to code_end is not a Python program")
    return (start if block else begin), end, fenced(code)


def _blocks_hidden(answer: str) -> str:
    """The answer with its closed code blocks overwritten by question marks; offsets and line ends stay."""
    for block in closed_blocks(answer):
        hidden = re.sub(r".", "?", answer[block.start : block.end])
        answer = f"{answer[: block.start]}{hidden}{answer[block.end :]}"
    return answer


def _lines_between(text: str, quotes: Quotes) -> tuple[int, int] | None:
    """The offsets where the first `code_begin` line begins and the last `code_end` line ends; None without both."""
    begin, end = None, None
    place = 0
    for line in text.splitlines(keepends=True):
        code = code_line(line).strip()
        if begin is None and code == quotes.first_line:
            begin = place
        place += len(line)
        if begin is not None and code == quotes.last_line:
            end = place
    return None if begin is None or end is None else (begin, end)


def _fields(reply: str, names: Iterable[str], structured: bool) -> dict[str, str]:
    """The named texts of a reply, from its JSON object or from between its tags."""
    if structured:
        try:
            found = json.loads(reply)
        except ValueError:
            raise NotFaithful("the reply is not valid JSON") from None
        if not isinstance(found, dict) or any(not isinstance(found.get(name), str) for name in names):
            raise NotFaithful(f"the reply is not an object with the texts {', '.join(names)}")
        return {name: found[name] for name in names}
    texts = {name: re.findall(f"<{name}>(.*?)</{name}>", reply, re.DOTALL) for name in names}
    if any(len(each) != 1 for each in texts.values()):
        raise NotFaithful(f"the reply does not have each of <{'>, <'.join(names)}> once, with its end tag")
    return {name: each[0] for name, each in texts.items()}
