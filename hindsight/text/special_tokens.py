"""Special tokens that a server leaves in an answer: those that end a turn or begin a text.

<|im_end|>  <|eot_id|>  <|return|>  <|endoftext|>  </s>  <eos>  <end_of_turn>  <｜end▁of▁sentence｜>
"""

import re

SPECIAL_TOKEN = re.compile(
    r"<\|(?!(?:begin|end)_of_(?:slow_thought|thought|solution|box)\|>)/?[A-Za-z][A-Za-z0-9_▁]*\|>"
    r"|<｜[^｜<>\n]{1,40}｜>|</?s>|<(?:eos|bos|pad|unk|start_of_turn|end_of_turn|end_of_utterance)>|<turn\|>"
    r"|\[(?:/?INST|EOS|BOS)\]|\[\|endofturn\|\]"
)
_AT_START = re.compile(rf"\A(?:\s*(?:{SPECIAL_TOKEN.pattern})(?:(?:assistant|model)\b)?)+")
_AT_END = re.compile(rf"(?:{SPECIAL_TOKEN.pattern})\s*\Z")


def without_special_tokens(text: str) -> tuple[str, int]:
    """A text without the special tokens at its two ends, and their number."""
    start, dropped = _AT_START.match(text), 0
    if start:
        text, dropped = text[start.end() :], len(SPECIAL_TOKEN.findall(start[0]))
    while end := _AT_END.search(text):
        text, dropped = text[: end.start()], dropped + 1
    return text, dropped
