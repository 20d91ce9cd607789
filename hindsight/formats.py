"""The uniform format of an answer, the dialects that are read as the same thing, and code blocks.

The uniform format, exactly:

    <begin_of_slow_thought>

    ...

    <end_of_slow_thought>

    <begin_of_solution>

    ...

    <end_of_solution>

Dialects: `<think>` (DeepSeek-R1, Qwen), `[begin_of_thought]` and `<|begin_of_thought|>` (the paper's repository,
SkyThought), `<|begin_of_slow_thought|>` (STILL-2), and the uniform tags, each with its end and, but for
`<think>`, its solution tags.

`parse` accepts an answer whose structure can be read in one way only and refuses (None) every other one; what it
accepts it carries over word for word. It does not look for tags in fenced code blocks.
"""

import re
from dataclasses import dataclass

BEGIN_THOUGHT = "<begin_of_slow_thought>"
END_THOUGHT = "<end_of_slow_thought>"
BEGIN_SOLUTION = "<begin_of_solution>"
END_SOLUTION = "<end_of_solution>"
TAGS = (BEGIN_THOUGHT, END_THOUGHT, BEGIN_SOLUTION, END_SOLUTION)

_TAG = re.compile(
    r"(?:<\|?|\[)(?P<edge>begin|end)_of_(?P<what>slow_thought|thought|solution)(?:\|?>|\])|<(?P<slash>/?)think>"
)
_SOLUTION_START = re.compile(
    r"(?:(?:<\|?|\[)end_of_(?:slow_)?thought(?:\|?>|\])|</think>)\s*(?:<\|?|\[)begin_of_solution(?:\|?>|\])"
)
_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Sections:
    """The two parts of an answer, without their tags and without the blank space around them."""

    thought: str
    solution: str


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block: `start` and `end` are offsets of the whole block, fences included, in the text."""

    code: str
    start: int
    end: int
    closed: bool


def render(thought: str, solution: str) -> str:
    """The uniform format of a thought and a solution; blank space around each is dropped."""
    return (
        f"{BEGIN_THOUGHT}\n\n{thought.strip()}\n\n{END_THOUGHT}\n\n"
        f"{BEGIN_SOLUTION}\n\n{solution.strip()}\n\n{END_SOLUTION}"
    )


def opening(prompt: str) -> str:
    """The tag that opens a thought, in any dialect, at the end of a prompt, with the blank space after it; or ""."""
    tags = [tag for tag in _TAG.finditer(prompt) if not prompt[tag.end() :].strip()]
    opens = bool(tags) and tags[-1]["edge"] != "end" and tags[-1]["what"] != "solution" and not tags[-1]["slash"]
    return prompt[tags[-1].start() :] if opens else ""


def parse(text: str) -> Sections | None:
    """The sections of an answer in any dialect, or None when its structure is not plain.

    Plain is, tags inside of code blocks left alone: a thought that begins where the text does (its opening tag may
    be missing after `</think>`, as chat templates put it into the prompt), one end of the thought, then either one
    solution section with nothing but blank space around it, its last tag perhaps missing when the answer ends with
    a closed code block, or, after `</think>`, the rest of the text as the solution.
    """
    tags = _tags_outside_code(text)
    kinds = [kind for kind, _, _ in tags]
    if kinds[:1] == ["end thought"] and text[tags[0][1] : tags[0][2]] == "</think>":
        tags.insert(0, ("begin thought", 0, 0))
        kinds.insert(0, "begin thought")
    if kinds[:2] != ["begin thought", "end thought"] or text[: tags[0][1]].strip():
        return None
    thought = text[tags[0][2] : tags[1][1]]
    after_thought = tags[1][2]
    if kinds == ["begin thought", "end thought"]:
        solution = text[after_thought:]
        plain = text[tags[1][1] : tags[1][2]] == "</think>"
    elif kinds[2:] == ["begin solution", "end solution"]:
        solution = text[tags[2][2] : tags[3][1]]
        plain = not text[after_thought : tags[2][1]].strip() and not text[tags[3][2] :].strip()
    elif kinds[2:] == ["begin solution"]:
        solution = text[tags[2][2] :]
        blocks = code_blocks(solution)
        plain = bool(blocks) and blocks[-1].closed and not text[after_thought : tags[2][1]].strip()
    else:
        return None
    if not plain or not solution.strip() or not thought.strip():
        return None
    return Sections(thought.strip(), solution.strip())


def split_at_last_block(text: str) -> Sections | None:
    """A solution made of the last closed code block, and all before it as the thought; None without such a block.

    The rule for answers without a structure when no reformatting model is there. Tags of any dialect outside of code
    are dropped from the thought; text after the block belongs to the solution.
    """
    blocks = [block for block in code_blocks(text) if block.closed]
    if not blocks:
        return None
    start = blocks[-1].start
    thought = _without_tags(text[:start]).strip()
    solution = (text[start : blocks[-1].end] + _without_tags(text[blocks[-1].end :])).strip()
    return Sections(thought, solution)


def code_blocks(text: str) -> list[CodeBlock]:
    """Fenced code blocks in order (CommonMark 4.5): backticks or tildes, closed by at least as many of the same.

    A block that is not closed reaches to the end of the text. A backtick fence's info string has no backtick.
    """
    blocks: list[CodeBlock] = []
    opening = None
    for match in _FENCE.finditer(text):
        fence, info = match["fence"], match["info"].rstrip("\r")
        if opening is None:
            if fence[0] == "~" or "`" not in info:
                opening = match
        elif fence[0] == opening["fence"][0] and len(fence) >= len(opening["fence"]) and not info.strip():
            code = text[opening.end() + 1 : match.start()]
            blocks.append(CodeBlock(code, opening.start(), match.end(), closed=True))
            opening = None
    if opening is not None:
        blocks.append(CodeBlock(text[opening.end() + 1 :], opening.start(), len(text), closed=False))
    return blocks


def extract_code(converted_text: str) -> str | None:
    """The program of a converted answer: the last fenced block of its solution section, None if there is none.

    The section starts at the last solution tag that directly follows the end of a thought, or else at the last
    solution tag, so that a thought with a code block left open hides nothing.
    """
    starts = [match.end() for match in _SOLUTION_START.finditer(converted_text)]
    if not starts:
        starts = [match.end() for match in _TAG.finditer(converted_text) if _kind(match) == "begin solution"]
    if not starts:
        return None
    blocks = code_blocks(converted_text[starts[-1] :])
    if blocks and not blocks[-1].closed:
        return _TAG.split(blocks[-1].code)[0]
    return blocks[-1].code if blocks else None


def _tags_outside_code(text: str) -> list[tuple[str, int, int]]:
    """(kind, start, end) of every tag that is not inside of a closed code block; kind: "begin thought", ..."""
    spans = [(block.start, block.end) for block in code_blocks(text) if block.closed]
    return [
        (_kind(match), match.start(), match.end())
        for match in _TAG.finditer(text)
        if not any(start <= match.start() < end for start, end in spans)
    ]


def _kind(match: re.Match) -> str:
    if match["slash"] is not None:
        return "end thought" if match["slash"] else "begin thought"
    return f"{match['edge']} {'solution' if match['what'] == 'solution' else 'thought'}"


def _without_tags(text: str) -> str:
    """The text with each tag outside of code, and the blank space around it, replaced by a blank line."""
    for _, start, end in reversed(_tags_outside_code(text)):
        text = text[:start].rstrip() + "\n\n" + text[end:].lstrip()
    return text
