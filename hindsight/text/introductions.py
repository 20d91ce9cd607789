"""What an answer says about a program in the words before it: that it is final, corrected or wrong.

Here is the final version:  final
The corrected code:         corrected
The original code was:      rejected, and so are wrong ones
"""

import re

_PROGRAM = "approach|attempt|code|draft|function|implementation|program|script|solution|version"


def _calls_it(words: str) -> re.Pattern:
    """Matches a sentence that says one of the words of a program ("the final version", "Final"), not of its output."""
    named, alone = rf"(?:\W+\w+){{0,2}}?\W+(?:{_PROGRAM})\b", r"(?:\W+answer)?\W*$"
    return re.compile(rf"\b(?:{words}){named}|^\W*(?:(?:the|my) )?(?:{words}){alone}", re.IGNORECASE)


FINAL = _calls_it("final")
CORRECTED = _calls_it("corrected|fixed|revised")
REJECTED = re.compile(
    _calls_it("original|incorrect|wrong|buggy").pattern
    + r"|\bcommon (?:mistake|error|bug)\b|\bbad example\b"
    + r"|\b(?:avoid|do not|don['’]t) (?:write|writing|do|doing|use|using) (?:it|this)(?: like this| this way)?\W*$",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(r"\s*(?:#{1,6}\s.*|\*\*.*\*\*:?|.*[:：])\s*")  # a heading, or words with a colon


def is_introduced(before: str, word: re.Pattern) -> bool:
    """Whether the last line of the text before a program is a heading or ends in a colon, with a word (FINAL, CORRECTED
    or REJECTED) in its last sentence."""
    line = before.rstrip().rpartition("\n")[2]
    sentence = re.split(r"[.!?]\s+", line)[-1]
    return _INTRODUCTION.fullmatch(line) is not None and word.search(sentence) is not None
