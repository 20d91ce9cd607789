"""Makes the code of an answer readable if it is written in JSON, HTML or other forms, and says what was changed.

    {"code": "n = int(input())\\nprint(n)"}    in a string of JSON: the strings become words and code blocks
    <pre><code>n = int(input()) ...           in HTML's tags
    if a &lt; b:                               with HTML's entities, or with blanks that Python refuses (U+00A0, U+200B)
    1  n = int(input())                        with line numbers
    ```, then a line "python"                  with the name of the language below its fence
    ```pythonimport sys                        with its first line on the fence
    n = int(input()), then "Output:"           with words between its fences, or in place of the closing one
    n = int(input()), then "``"                with a closing fence that is cut off
    %%time, or !pip install numpy              with commands of a notebook

Code that can be parsed stays as it is, and so does code that cannot be parsed afterwards. No character of a program
changes except these.
"""

import html
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from hindsight.text.code_blocks import MOST_BLOCKS, CodeBlock, fenced, find_code_blocks, names_python
from hindsight.text.programs import does_nothing, is_program, program_facts, syntax_error_line, syntax_tree
from hindsight.text.unfenced_code import is_words, unfenced_blocks
from hindsight.text.uniform_format import find_tags

_BLANK = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#39|#x27|#34);")
_ENTITY_NAMES = frozenset(("lt", "gt", "amp", "quot", "apos", "nbsp"))
_NUMBERED = re.compile(r"[ \t]*(\d+)(?:[ \t]*[|:.])?(?: ?(.*))?")
_HTML = re.compile(r"<pre\b[^<>]*>\s*(?:<code\b[^<>]*>)?(.*?)(?:</code>)?\s*</pre>", re.DOTALL | re.IGNORECASE)
_GLUED = re.compile(
    r"(?P<fence>.*[`~]{3,}[ \t]*(?:python3?|py))"
    r"(?P<code>(?:def|class|import|from|if|for|while|try|with)\b|[#@]|\w+(?: ?=|\())"
)
_COMMAND = re.compile(r"[ \t]*[%!]")  # the beginning of a notebook's command
_MOST_COMMANDS = 16  # that are left out of a block
_CUT_FENCE = re.compile(r"\n[ \t]*`{1,2}\s*$")
_JSON = re.compile(r"^[ \t]*\{", re.MULTILINE)


def with_readable_code(text: str) -> tuple[str, str]:
    """An answer with readable code, and what was done, "" if nothing was."""
    done = []
    for what, change in _CHANGES.items():
        changed = change(text)
        if changed != text:
            text = changed
            done.append(what)
    return text, ", ".join(done)


def _out_of_json(text: str) -> str:
    """The text with the strings of a JSON object that holds a program, if there is no program besides it."""
    start = max((tag.end for tag in find_tags(text) if tag.closes("thought")), default=0)
    place = _JSON.search(text, start)
    if place is None or is_program(text[start:]):
        return text
    begin = place.end() - 1
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, begin)
    except (ValueError, RecursionError):
        return text
    leaves = list(_leaves(value))
    blocks = find_code_blocks(text[start:])
    around = next((each for each in blocks if each.code_start <= begin - start < each.code_end), None)
    if not any(map(_holds_program, leaves)) or any(is_program(each.code) for each in blocks if each is not around):
        return text
    if around is not None and not text[end : start + around.code_end].strip():
        begin, end = start + around.start, start + around.end
    return "\n\n".join(part for part in (text[:begin].rstrip(), *map(_as_text, leaves), text[end:].lstrip()) if part)


Leaf = tuple[str, Any]  # the key of a value in JSON, and the value


def _leaves(value: Any, key: str = "") -> Iterator[Leaf]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, name)
    elif isinstance(value, list) and not all(isinstance(each, str) for each in value):
        for each in value:
            yield from _leaves(each, key)
    else:
        yield key, "\n".join(value) if isinstance(value, list) else value


def _holds_program(leaf: Leaf) -> bool:
    value = leaf[1]
    return isinstance(value, str) and (
        is_program(value) or any(is_program(each.code) for each in find_code_blocks(value))
    )


def _as_text(leaf: Leaf) -> str:
    key, value = leaf
    if isinstance(value, str) and is_program(value):
        return f"{key}:\n\n{fenced(value)}"
    return f"{key}: {value}"


def _out_of_html(text: str) -> str:
    """The text with a code block in place of each <pre> that holds a program, if it has no code blocks."""
    if not _HTML.search(text) or find_code_blocks(text) or is_program(text):
        return text
    return _HTML.sub(lambda match: fenced(code) if is_program(code := _plain_characters(match[1])) else match[0], text)


def _with_plain_characters(text: str) -> str:
    if not any(pattern.search(text) for pattern in (_BLANK, _INVISIBLE, _ENTITY)):
        return text
    if blocks := find_code_blocks(text):
        return _with_changed_blocks(text, blocks, _plain_characters)
    if unfenced_blocks(text) and not _has_entities(text):
        return text
    plain = _plain_characters(text, required=False)
    return plain if is_program(plain) or unfenced_blocks(plain) else text


def _plain_characters(code: str, required: bool = True) -> str:
    """Code with usual blanks and without entities, if it can then be parsed (or that is not required)."""
    blanks = _INVISIBLE.sub("", _BLANK.sub(" ", code))
    decoded = _BLANK.sub(" ", _ENTITY.sub(lambda entity: html.unescape(entity[0]), blanks))
    for plain in (blanks, decoded):
        if syntax_tree(plain) and not _has_entities(plain):
            return plain
    return code if required else decoded


def _has_entities(code: str) -> bool:
    """Whether code has HTML's entities outside of strings: `a &lt; b` can be parsed, but `lt` is not defined."""
    facts = program_facts(code) if _ENTITY.search(code) else None
    return facts is not None and not _ENTITY_NAMES.isdisjoint(facts.names[1])


def _with_changed_blocks(text: str, blocks: tuple[CodeBlock, ...], change: Callable[[str], str]) -> str:
    """The text with the code of the blocks changed that is not Python, or has entities."""
    for block in reversed(blocks):
        if (block.is_python or not block.language) and (not syntax_tree(block.code) or _has_entities(block.code)):
            code = text[block.code_start : block.code_end]
            text = text[: block.code_start] + change(code) + text[block.code_end :]
    return text


def _without_line_numbers(text: str) -> str:
    return _with_changed_blocks(text, find_code_blocks(text), _unnumbered)


def _unnumbered(code: str) -> str:
    """Code whose lines are numbered in order, without the numbers, if it can then be parsed."""
    lines = [match for line in code.splitlines() if line.strip() and (match := _NUMBERED.fullmatch(line))]
    if len(lines) < 2 or len(lines) < sum(bool(line.strip()) for line in code.splitlines()):
        return code
    numbers = [int(line[1]) for line in lines]
    plain = "".join(f"{line[2] or ''}\n" for line in lines)
    for margin in ("", " "):
        plain = re.sub(f"^{margin}", "", plain, flags=re.MULTILINE)
        if numbers == list(range(numbers[0], numbers[0] + len(lines))) and syntax_tree(plain):
            return plain
    return code


def _with_language_on_fence(text: str) -> str:
    for block in reversed(find_code_blocks(text)):
        name, line_end, _ = block.code.partition("\n")
        if not block.language and line_end and names_python(name.strip()):
            text = text[: block.code_start].rstrip() + name.strip() + text[block.code_start + len(name) :]
    return text


def _with_code_below_fence(text: str) -> str:
    for block in reversed(find_code_blocks(text)):
        glued = None if block.is_python else _GLUED.match(text, block.start, block.code_start)
        if glued and syntax_tree(text[glued.start("code") : block.code_end]):
            text = f"{glued['fence']}\n".join((text[: block.start], text[glued.start("code") :]))
    return text


def _with_whole_fence(text: str) -> str:
    blocks, cut = find_code_blocks(text), _CUT_FENCE.search(text)
    if cut is None or not blocks or blocks[-1].closed or not syntax_tree(text[blocks[-1].code_start : cut.start()]):
        return text
    return f"{text[: cut.start()]}\n{blocks[-1].fence}"


def _without_commands(text: str) -> str:
    return _with_changed_blocks(text, find_code_blocks(text), _without_notebook_commands)


def _without_notebook_commands(code: str) -> str:
    """Code without its lines that Python refuses and that are commands; a line in a string is none of these."""
    lines = code.split("\n")
    for _ in range(_MOST_COMMANDS):
        number = syntax_error_line("\n".join(lines))
        if number is None:
            return "\n".join(lines)
        place = min(number, len(lines)) - 1
        if not _COMMAND.match(lines[place]):
            break
        del lines[place]
    return code


def _with_words_out_of_blocks(text: str) -> str:
    """The text with the fences of a block around the program in it, without the words before and after it."""
    blocks = find_code_blocks(text)
    for block in reversed(blocks if len(blocks) <= MOST_BLOCKS else ()):
        if (block.language and not block.is_python) or syntax_tree(block.code):
            continue
        code = text[block.code_start : block.code_end]
        programs = unfenced_blocks(code)
        first = code[: programs[0].start].splitlines() if len(programs) == 1 else []
        if len(programs) != 1 or not all(is_words(line) or does_nothing(line) for line in first):
            continue
        start, end = (block.code_start + place for place in (programs[0].start, programs[0].end))
        after = text[block.end :]
        closes = block.closed and all(each.closed for each in find_code_blocks(after))  # else it opens the next block
        rest = text[end : block.code_end].rstrip() + after if closes else text[end:]
        words, opening = text[block.code_start : start].strip(), text[block.start : block.code_start]
        before = text[: block.start] + (f"{words}\n\n" if words else "") + opening
        text = f"{before}{text[start:end].rstrip()}\n{block.fence}\n\n{rest.lstrip()}"
    return text


_CHANGES = {
    "code in JSON": _out_of_json,
    "language below its fence": _with_language_on_fence,
    "code in HTML": _out_of_html,
    "odd characters": _with_plain_characters,
    "line numbers": _without_line_numbers,
    "code on the fence": _with_code_below_fence,
    "a cut fence": _with_whole_fence,
    "commands of a notebook": _without_commands,
    "words in a code block": _with_words_out_of_blocks,
}
