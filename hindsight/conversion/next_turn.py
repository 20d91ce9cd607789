"""Where an answer ends and a base model, or one whose end token was ignored, continues with another turn."""

import re

from hindsight.conversion.sections import begins_section, between_quotes, closed_blocks, in_a_block, structure_tags
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.special_tokens import SPECIAL_TOKEN
from hindsight.text.unfenced_code import unfenced_blocks
from hindsight.text.uniform_format import TAG, find_tags

_AFTER_SOLUTION = re.compile(
    r"(?:User|Human|Assistant|System|Question|Problem|Task|Example|Q)(?: \d+)?:", re.IGNORECASE
)
_NUMBER = r"(?:[2-9]|[1-9]\d+)"  # a second problem, not the heading of the first
_MARKER = re.compile(
    r"[ \t]*(?:(?:#{1,6}[ \t]*)?(?:\*\*)?(?:"
    r"(?:User|Human|Instruction|USER|HUMAN)(?: \d+)?(?:\*\*)?:"
    rf"|(?:Problem|Question|Task|Exercise|Q)[ \t]*#?{_NUMBER}\b[:.]?"
    r")|#{1,6}[ \t]+(?:User|Human|Instruction)[ \t]*$)",  # of chats, Vicuna, Alpaca and sheets of problems
    re.MULTILINE,
)
_HEADING = r"(?:#{1,6}[ \t]*)?(?:\*\*)?"
_TRANSCRIPT = re.compile(
    rf"(?:{_HEADING}(?:Question|Problem|Task|Q):[^\n]*|#{{1,6}}[ \t]*(?:Question|Problem|Task)[ \t]*)\n(?:.*\n)*?"
    rf"(?:{_HEADING}(?:Answer|Solution|Assistant|A):|#{{1,6}}[ \t]*(?:Answer|Solution|Response)\b)"
    r"|user\n(?:.*\n)*?(?:assistant|model)\n"  # of a chat template, without its special tokens
)
_CHAT = re.compile(
    rf"{_HEADING}(?:User|USER|Human|HUMAN)(?:\*\*)?:[^\n]*\n(?:.*\n)*?{_HEADING}(?:Assistant|ASSISTANT)(?:\*\*)?:"
)
_AMID_WORDS = re.compile(rf"[ \t](?:{SPECIAL_TOKEN.pattern})[ \t]+[A-Za-z]")
_IN_ANSWER = re.compile(r"<\|/?(?:\w*(?:think|thought|reason)\w*|python_tag|tool\w*)\|>")  # tokens that end no turn
_WORD = re.compile("User|USER|user\n|Human|HUMAN|Instruction|Problem|Question|Task|Exercise|Q")  # in each of the two


def end_before_next_turn(text: str) -> int | None:
    """The offset after a solution's end tag that a next turn directly follows; None: nowhere."""
    ends = (tag.end for tag in structure_tags(text) if tag.closes("solution"))
    return next((end for end in ends if _AFTER_SOLUTION.match(text[end:].lstrip())), None)


def end_before_turn_marker(text: str) -> int | None:
    """The offset of the first special token, which ends the turn, or of the first line that begins another turn: after
    a program, or after any words if both sides of a chat speak; None: nowhere.

    A marker in a closed code block, between quotes, or within a section that ends later, is text.
    """
    tags = find_tags(text)
    ends = [match.start() for match in SPECIAL_TOKEN.finditer(text) if _ends_turn(text, match)]
    for start in sorted([*ends, *filter(lambda start: _begins_turn(text, start), _lines_with_word(text))]):
        following = next((tag for tag in tags if tag.start > start), None)
        begin = max((tag.end for tag in tags if tag.end <= start and begins_section(text, tag)), default=0)
        if in_a_block(closed_blocks(text[begin:]), start - begin) or (following and following.edge == "end"):
            continue
        before = TAG.sub("", text[:start])
        if start in ends or _has_program(before) or (before.strip() and _CHAT.match(text, start)):
            return start
    return None


def _ends_turn(text: str, token: re.Match) -> bool:
    """Whether a special token is neither quoted, nor between words, nor HTML's strike-through (`<s>so</s>`), nor one
    that belongs within an answer."""
    if _IN_ANSWER.fullmatch(token[0]):
        return False
    mentioned = token[0] != "[INST]" and _AMID_WORDS.match(text, max(token.start() - 1, 0))
    struck = token[0] == "<s>" or (token[0] == "</s>" and "<s>" in text[: token.start()].rpartition("\n")[2])
    return not struck and not mentioned and not between_quotes(text, token.start(), token.end())


def _lines_with_word(text: str) -> set[int]:
    """The offsets of the lines that may begin another turn."""
    return {text.rfind("\n", 0, match.start()) + 1 for match in _WORD.finditer(text)}


def _begins_turn(text: str, start: int) -> bool:
    return _MARKER.match(text, start) is not None or _TRANSCRIPT.match(text, start) is not None


def _has_program(text: str) -> bool:
    return bool(find_code_blocks(text) or unfenced_blocks(text))
