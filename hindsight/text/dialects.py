"""Turns OpenAI's harmony, with or without its special tokens, into tags, and drops leftover special tokens.

    <|channel|>analysis<|message|>Add.<|end|><|start|>assistant<|channel|>final<|message|>So: ...<|return|>
    analysisAdd.assistantfinalSo: ...

Both become a thought and a solution between uniform tags. Fences around a whole answer are dropped, and a tag before
the closing fence of a program is moved after it. A marker in a program's code block counts as text, and so does
"assistantfinal" in an answer with tags.
"""

import re

from hindsight.text.code_blocks import find_code_blocks, without_wrapper
from hindsight.text.programs import is_program, syntax_tree
from hindsight.text.special_tokens import without_special_tokens
from hindsight.text.uniform_format import BEGIN_SOLUTION, BEGIN_THOUGHT, END_SOLUTION, END_THOUGHT, find_tags

_HARMONY = re.compile(
    r"(?:<\|start\|>)?(?:assistant)?\s*<\|channel\|>\s*(?P<channel>analysis|commentary|final)\b[^<\n]*"
    r"(?:<\|constrain\|>\w+)?<\|message\|>|<\|(?P<end>end|return|call)\|>(?:<\|start\|>assistant(?!\s*<\|channel))?"
)
_FENCE = re.compile(r"\s*\n[ \t]*(`{3,}|~{3,})[ \t]*(?=\n|\Z)")
_BARE_ANALYSIS = re.compile(r"\Aanalysis(?=[A-Z\"'`(\[])")


def plain_dialect(text: str) -> tuple[str, int]:
    """An answer with uniform tags in place of harmony's markers and Unix line ends, without leftover special tokens at
    its ends; and how many tokens were dropped. Other answers are returned unchanged."""
    text = text.replace("\r\n", "\n")
    if "<|channel|>" in text:
        text = _with_uniform_tags(text)
    elif "assistantfinal" in text:
        text = _with_tag_at_final(text)
    else:
        text = _BARE_ANALYSIS.sub(f"{BEGIN_THOUGHT}\n\n", text)
    return without_special_tokens(_with_tags_after_blocks(without_wrapper(text)))


def _with_tags_after_blocks(text: str) -> str:
    """The text with the tag that ends its solution after the closing fence, if the fence comes later."""
    tag = next((tag for tag in reversed(find_tags(text)) if tag.closes("solution")), None)
    fence = _FENCE.match(text, tag.end) if tag else None
    if tag is None or fence is None:
        return text
    block = next((each for each in find_code_blocks(text) if each.start < tag.start < each.end), None)
    if block is None or syntax_tree(block.code) or not is_program(text[block.code_start : tag.start]):
        return text
    return text[: tag.start].rstrip() + f"\n{fence[1]}\n{text[tag.start : tag.end]}" + text[fence.end() :]


def _outside_of_programs(marker: re.Pattern, text: str) -> list[re.Match]:
    """The places of a marker, except those in closed code blocks that are Python."""
    matches = list(marker.finditer(text))
    programs = [each for each in find_code_blocks(text) if each.closed and syntax_tree(each.code)] if matches else []
    return [match for match in matches if not any(each.code_start < match.start() < each.code_end for each in programs)]


def _with_tag_at_final(text: str) -> str:
    """The text with tags at harmony's bare words; unchanged if it has other tags, or the word twice."""
    places = _outside_of_programs(re.compile("assistantfinal"), text)
    if len(places) != 1 or find_tags(text[: places[0].start()]):
        return text
    thought, solution = text[: places[0].start()], text[places[0].end() :]
    thought = re.sub(r"\Aanalysis", f"{BEGIN_THOUGHT}\n\n", thought)
    return f"{thought}\n\n{END_THOUGHT}\n\n{BEGIN_SOLUTION}\n\n{solution}"


def _with_uniform_tags(text: str) -> str:
    parts, place, section = [], 0, "thought"
    markers = _outside_of_programs(_HARMONY, text)
    first = next((match for match in markers if match["channel"]), None)
    if first is None:
        return text
    open_section = bool(text[: first.start()].strip())
    for match in markers:
        parts.append(text[place : match.start()].strip())
        place = match.end()
        if open_section:
            parts.append(END_THOUGHT if section == "thought" else END_SOLUTION)
        open_section = match["channel"] is not None
        if open_section:
            section = "solution" if match["channel"] == "final" else "thought"
            parts.append(BEGIN_SOLUTION if section == "solution" else BEGIN_THOUGHT)
    return "\n\n".join(part for part in [*parts, text[place:].strip()] if part)
