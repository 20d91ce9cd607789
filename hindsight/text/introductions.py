"""What an answer says about a program in the words before it: that it is final, corrected, wrong, or an alternative.

Here is the final version:            final
The corrected code:                   corrected
The original code was:                rejected, and so are wrong ones
Alternatively, you could use a loop:  an alternative to the program before it
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
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+|(?<=[。！？：])")
_INTRODUCTION = re.compile(r"\s*(?:#{1,6}\s.*|\*\*.*\*\*:?|.*[:：])\s*")  # a heading, or words with a colon
_ALTERNATIVE = re.compile(
    rf"alternati[fv]|\balternate (?:{_PROGRAM}|way|method)\b"
    rf"|\banother (?:\w+ ){{0,2}}(?:{_PROGRAM}|way|method|option)\b"
    r"|\bautre (?:solution|méthode|façon|version)\b|\b(?:otra|outra) (?:solución|solução|forma|manera|maneira)\b"
    r"|\bдругой (?:способ|вариант)|另一种|另外一种|或者|也可以|別の",
    re.IGNORECASE,
)
_OR = re.compile(  # only in the sentence directly before a program
    r"\b(?:you|we|one) (?:can|could|may|might) also\b|^\W*or\b|^\W*if you (?:prefer|want|need|wish)\b"
    r"|\bcan (?:also be|be also) (?:written|done|implemented|solved|expressed|simplified)\b"
    r"|^\W*for (?:comparison|reference|completeness)\b|\bis (?:equivalent to|the same as)\W*$",
    re.IGNORECASE,
)
_BETTER = re.compile(
    r"\b(?:better|more (?:efficient|robust|optimal)|faster|optimi[sz]ed|improved|corrected|fixed|revised|final|updated"
    r"|recommended|preferred)\b",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"\b(?:wrong|incorrect|mistake|buggy|a bug|wait|oops|(?:does not|doesn['’]t|will not|won['’]t) work|too slow"
    r"|fails (?:for|on|when|if)|try)\b",
    re.IGNORECASE,
)


def is_introduced(before: str, word: re.Pattern) -> bool:
    """Whether the last line of the text before a program is a heading or ends in a colon, with a word (FINAL, CORRECTED
    or REJECTED) in its last sentence."""
    line = before.rstrip().rpartition("\n")[2]
    sentence = re.split(r"[.!?]\s+", line)[-1]
    return _INTRODUCTION.fullmatch(line) is not None and word.search(sentence) is not None


def offers_alternative(between: str) -> bool:
    """Whether the text between two programs offers the second as an alternative to the first: a sentence says it, and
    none says that the second is better or the first is wrong."""
    if _WRONG.search(between):
        return False
    sentences = _SENTENCE.split(between.strip())
    last = len(sentences) - 1
    starts = (i for i, each in enumerate(sentences) if _ALTERNATIVE.search(each) or (i == last and _OR.search(each)))
    start = next(starts, None)
    return start is not None and not any(map(_BETTER.search, sentences[start:]))
