"""Which characters of an answer are tags, fences, code and prose, and which are its thought."""

from typing import Any

from hindsight.conversion.sections import structure_tags
from hindsight.text.code_blocks import CodeBlock, find_code_blocks


def text_parts(text: str) -> dict[str, Any]:
    """The parts of a text, as [kind, end] each, and `thought`: its start and end, or None without a thought.

    Kinds are "text", "tag", "fence", "python" and "code" (of another language). Offsets count characters.
    """
    tags = structure_tags(text)
    marks = [(tag.start, tag.end, "tag") for tag in tags]
    for block in find_code_blocks(text):
        next_tag = next((tag.start for tag in tags if tag.start > block.start), block.end)
        marks += _block_marks(block, next_tag)
    parts, end = [], 0
    for start, stop, kind in sorted(marks):
        if start >= end and stop > start:
            parts += [["text", start]] if start > end else []
            parts.append([kind, stop])
            end = stop
    parts += [["text", len(text)]] if end < len(text) else []
    opens = next((tag.end for tag in tags if tag.opens("thought")), None)
    closes = next((tag.start for tag in tags if tag.closes("thought") and tag.start >= (opens or 0)), None)
    if opens is None and closes is None:
        return {"parts": parts, "thought": None}
    return {"parts": parts, "thought": [opens or 0, len(text) if closes is None else closes]}


def _block_marks(block: CodeBlock, next_tag: int) -> list[tuple[int, int, str]]:
    """The fences and the code of a block; unclosed code ends at the next tag."""
    code, end = block.code_start, block.code_end if block.closed else min(block.code_end, next_tag)
    kind = "python" if block.is_python or not block.language else "code"
    return [(block.start, code, "fence"), (code, end, kind), (end, block.end if block.closed else end, "fence")]
