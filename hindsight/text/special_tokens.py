"""Special tokens that a server leaves in an answer: of the end of a turn, of the beginning of a text.

<|im_end|>  <|eot_id|>  <|return|>  <|endoftext|>  </s>  <eos>  <end_of_turn>  <｜end▁of▁sentence｜>
"""

import re

SPECIAL_TOKEN = re.compile(
    r"<\|(?!(?:begin|end)_of_(?:slow_thought|thought|solution|box)\|>)[a-z][a-z0-9_]*\|>"
    r"|<｜[^｜<>\n]{1,40}｜>|</?s>|<(?:eos|bos|pad|start_of_turn|end_of_turn)>|\[/?INST\]"
)
_AT_START = re.compile(rf"\A(?:\s*(?:{SPECIAL_TOKEN.pattern})(?:assistant\b)?)+")
_AT_END = re.compile(rf"(?:(?:{SPECIAL_TOKEN.pattern})\s*)+\Z")


def without_special_tokens(text: str) -> tuple[str, int]:
    """A text without the special tokens at its two ends, and how many these are."""
    start = _AT_START.search(text) if text.lstrip()[:1] in ("<", "[") else None
    end = _AT_END.search(text) if text.rstrip()[-1:] in (">", "]") else None
    dropped = sum(len(SPECIAL_TOKEN.findall(match[0])) for match in (start, end) if match)
    text = text[: end.start()] if end else text
    return (text[start.end() :] if start else text), dropped
