"""Brings what is no tag in an answer to tags: OpenAI's harmony, with and without its special tokens; drops leftovers.

    <|channel|>analysis<|message|>Add.<|end|><|start|>assistant<|channel|>final<|message|>So: ...<|return|>
    analysisAdd.assistantfinalSo: ...

Both become a thought and a solution between uniform tags. Boxes within a solution that has tags mean nothing.
"""

import re

from hindsight.text.special_tokens import without_special_tokens
from hindsight.text.uniform_format import BEGIN_SOLUTION, BEGIN_THOUGHT, END_SOLUTION, END_THOUGHT, find_tags

_HARMONY = re.compile(
    r"(?:<\|start\|>)?(?:assistant)?\s*<\|channel\|>\s*(?P<channel>analysis|commentary|final)\b[^<\n]*"
    r"(?:<\|constrain\|>\w+)?<\|message\|>|<\|(?P<end>end|return|call)\|>(?:<\|start\|>assistant(?!\s*<\|channel))?"
)
_BARE_ANALYSIS = re.compile(r"\Aanalysis(?=[A-Z\"'`(\[])")
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")


def plain_dialect(text: str) -> tuple[str, int]:
    """An answer with uniform tags in place of harmony's markers, without leftover special tokens at its ends; and how
    many tokens were dropped. Other answers stay as they are; so does the result."""
    if "<|channel|>" in text:
        text = _with_uniform_tags(text)
    elif "assistantfinal" in text:
        text = re.sub("assistantfinal", f"\n\n{END_THOUGHT}\n\n{BEGIN_SOLUTION}\n\n", text)
        text = re.sub(r"\Aanalysis", f"{BEGIN_THOUGHT}\n\n", text)
    else:
        text = _BARE_ANALYSIS.sub(f"{BEGIN_THOUGHT}\n\n", text)
    text, dropped = without_special_tokens(text)
    boxes = _BOX.findall(text)
    if boxes and sum(tag.what == "solution" for tag in find_tags(text)) > len(boxes):
        return _BOX.sub("", text), dropped + len(boxes)
    return text, dropped


def _with_uniform_tags(text: str) -> str:
    parts, place, section = [], 0, "thought"
    open_section = bool(text[: text.index("<|channel|>")].strip().removesuffix("assistant").removesuffix("<|start|>"))
    for match in _HARMONY.finditer(text):
        parts.append(text[place : match.start()].strip())
        place = match.end()
        if open_section:
            parts.append(END_THOUGHT if section == "thought" else END_SOLUTION)
        open_section = match["channel"] is not None
        if open_section:
            section = "solution" if match["channel"] == "final" else "thought"
            parts.append(BEGIN_SOLUTION if section == "solution" else BEGIN_THOUGHT)
    return "\n\n".join(part for part in [*parts, text[place:].strip()] if part)
