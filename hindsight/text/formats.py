"""The uniform format of an answer, the tags that dialects have for it, and code blocks.

The uniform format, exactly:

    <begin_of_slow_thought>

    ...

    <end_of_slow_thought>

    <begin_of_solution>

    ...

    <end_of_solution>

Dialects: `<think>` (DeepSeek-R1, Qwen), `[begin_of_thought]` and `<|begin_of_thought|>` (the paper's repository,
SkyThought), `<|begin_of_slow_thought|>` (STILL-2), and the uniform tags, each with its end and, but for
`<think>`, its solution tags. `hindsight.conversion.reader` reads them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

BEGIN_THOUGHT = "<begin_of_slow_thought>"
END_THOUGHT = "<end_of_slow_thought>"
BEGIN_SOLUTION = "<begin_of_solution>"
END_SOLUTION = "<end_of_solution>"
TAGS = (BEGIN_THOUGHT, END_THOUGHT, BEGIN_SOLUTION, END_SOLUTION)

TAG = re.compile(
    r"(?:<\|?|\[)(?P<edge>begin|end)_of_(?P<what>slow_thought|thought|solution)(?:\|?>|\])|<(?P<slash>/?)think>"
)
_SOLUTION_START = re.compile(
    r"(?:(?:<\|?|\[)end_of_(?:slow_)?thought(?:\|?>|\])|</think>)\s*(?:<\|?|\[)begin_of_solution(?:\|?>|\])"
)
_UNIFORM = re.compile(
    rf"{BEGIN_THOUGHT}\s*(?P<thought>.*?)\s*{END_THOUGHT}\s+{BEGIN_SOLUTION}\s*(?P<solution>.*?)\s*{END_SOLUTION}",
    re.DOTALL,
)
_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_CODE = re.compile(r"[=(\[{]|^[ \t]*(?:import|from|def|class|for|while|if|return|print)\b", re.MULTILINE)
PYTHON = ("python", "python3", "py", "py3")
_SPELLINGS = ["<think>", "</think>"] + [
    f"{left}{edge}_of_{what}{right}"
    for left, right in (("<", ">"), ("<|", "|>"), ("[", "]"))
    for edge in ("begin", "end")
    for what in ("slow_thought", "thought", "solution")
]
CACHED = 32  # texts whose tags and blocks are known: an answer's parts are looked at several times
_LEAST_CUT = 3  # characters that are taken for the beginning of a tag


@dataclass(frozen=True)
class Tag:
    """A tag of any dialect: its edge ("begin", "end"), of what ("thought", "solution"), its place in the text."""

    edge: str
    what: str
    start: int
    end: int

    def opens(self, what: str) -> bool:
        """Whether it is the first tag of a section."""
        return (self.edge, self.what) == ("begin", what)

    def closes(self, what: str) -> bool:
        """Whether it is the last tag of a section."""
        return (self.edge, self.what) == ("end", what)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block: `start` and `end` are offsets of the whole block, fences included, in the text.

    `language` is the first word after the opening fence, in lower case; `closed`: it has a closing fence.
    """

    code: str
    language: str
    fence: str
    start: int
    end: int
    closed: bool


def render(thought: str, solution: str) -> str:
    """The uniform format of a thought and a solution; blank space around each is dropped."""
    return (
        f"{BEGIN_THOUGHT}\n\n{thought.strip()}\n\n{END_THOUGHT}\n\n"
        f"{BEGIN_SOLUTION}\n\n{solution.strip()}\n\n{END_SOLUTION}"
    )


def split_uniform(text: str) -> tuple[str, str] | None:
    """The thought and the solution of a text in the uniform format, None for a text that is not in it."""
    match = _UNIFORM.fullmatch(text.strip())
    return (match["thought"], match["solution"]) if match else None


def fenced(code: str) -> str:
    """A program in a code block."""
    return f"```python\n{code.strip()}\n```"


@lru_cache(CACHED)
def find_tags(text: str) -> tuple[Tag, ...]:
    """Every tag of every dialect in a text, in order, wherever it stands."""
    return tuple(Tag(*_kind(match), match.start(), match.end()) for match in TAG.finditer(text))


def opening(prompt: str) -> str:
    """The tag that opens a thought, in any dialect, at the end of a prompt, with the blank space after it; or ""."""
    tags = [tag for tag in find_tags(prompt) if not prompt[tag.end :].strip()]
    opens = bool(tags) and tags[-1].opens("thought")
    return prompt[tags[-1].start :] if opens else ""


def without_cut_tag(text: str) -> str:
    """The text of an answer that was cut off by length, without the first characters of a tag at its end."""
    for size in range(max(map(len, _SPELLINGS)) - 1, _LEAST_CUT - 1, -1):
        if any(len(tag) > size and text.endswith(tag[:size]) for tag in _SPELLINGS):
            return text[:-size]
    return text


@lru_cache(CACHED)
def code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """Fenced code blocks in order (CommonMark 4.5): backticks or tildes, closed by at least as many of the same.

    A block that is not closed reaches to the end of the text. A backtick fence's info string has no backtick. Unlike
    CommonMark's, an opening fence may stand as far in as a list has put it; its code is then set as far out, and its
    closing fence stands less than four columns further in, as a fence within the code does not.
    """
    blocks: list[CodeBlock] = []
    opening = None
    for match in _FENCE.finditer(text):
        fence, info = match["fence"], match["info"].rstrip("\r")
        if opening is None:
            if fence[0] == "~" or "`" not in info:
                opening = match
        elif (
            fence[0] == opening["fence"][0]
            and len(fence) >= len(opening["fence"])
            and not info.strip()
            and _width(match["indent"]) < _width(opening["indent"]) + 4
        ):
            blocks.append(_block(text, opening, match.start(), match.end(), closed=True))
            opening = None
    if opening is not None:
        blocks.append(_block(text, opening, len(text), len(text), closed=False))
    return tuple(blocks)


def final_block(blocks: Sequence[CodeBlock]) -> CodeBlock | None:
    """The block that holds the program of a solution: the last one that says it is Python, or else the last one.

    What a program reads and prints is often shown in a block after it: data without a bracket, an equals sign or a
    statement is no program, whatever its fence says, while there is another.
    """
    code = [block for block in blocks if looks_like_code(block.code)]
    python = [block for block in code if block.language in PYTHON]
    return (python or code or blocks or [None])[-1]


def looks_like_code(text: str) -> bool:
    """Whether a text has a bracket, an equals sign, or a line that begins with a word of Python's."""
    return _CODE.search(text) is not None


def extract_code(converted_text: str) -> str | None:
    """The program of a converted answer: the final block of its solution section, None if there is none.

    The section starts at the last solution tag that directly follows the end of a thought, or else at the last
    solution tag, so that a thought with a code block left open hides nothing.
    """
    starts = [match.end() for match in _SOLUTION_START.finditer(converted_text)]
    if not starts:
        starts = [tag.end for tag in find_tags(converted_text) if tag.opens("solution")]
    if not starts:
        return None
    block = final_block(code_blocks(converted_text[starts[-1] :]))
    if block is None or block.closed:
        return block.code if block else None
    return block.code[: next((tag.start for tag in find_tags(block.code)), None)]


def _block(text: str, opening: re.Match, code_end: int, end: int, closed: bool) -> CodeBlock:
    code = text[opening.end() + 1 : code_end]
    if opening["indent"]:
        code = re.sub(rf"^[ \t]{{0,{len(opening['indent'])}}}", "", code, flags=re.MULTILINE)
    language = (opening["info"].split() or [""])[0].lower()
    return CodeBlock(code, language, opening["fence"], opening.start(), end, closed)


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))


def _kind(match: re.Match) -> tuple[str, str]:
    if match["slash"] is not None:
        return ("end" if match["slash"] else "begin"), "thought"
    return match["edge"], "solution" if match["what"] == "solution" else "thought"
