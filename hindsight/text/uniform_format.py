"""The uniform format of an answer, and the tags of other dialects.

The uniform format, exactly:

    <begin_of_slow_thought>

    ...

    <end_of_slow_thought>

    <begin_of_solution>

    ...

    <end_of_solution>

Dialects, each with its end tag: `<think>` (DeepSeek-R1, Qwen), `<thinking>`, `[THINK]` (Magistral), `<seed:think>`;
`[begin_of_thought]` and `<|begin_of_thought|>` (the paper's repository, SkyThought), `<|begin_of_slow_thought|>`
(STILL-2) and the uniform tags, which have solution tags too; `<answer>` and `<|begin_of_box|>` (GLM) for the solution.
`hindsight.text.dialects` turns OpenAI's harmony into uniform tags; `hindsight.conversion.reader` reads them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

BEGIN_THOUGHT = "<begin_of_slow_thought>"
END_THOUGHT = "<end_of_slow_thought>"
BEGIN_SOLUTION = "<begin_of_solution>"
END_SOLUTION = "<end_of_solution>"
TAGS = (BEGIN_THOUGHT, END_THOUGHT, BEGIN_SOLUTION, END_SOLUTION)

TAG = re.compile(
    r"[<\[](?:(?:(?<=<)\|)?(?P<edge>begin|end)_of_(?P<what>slow_thought|thought|solution|box)(?:\|?>|\])"
    r"|(?<=<)(?P<slash>/?)(?P<name>think|thinking|seed:think|answer)>|(?<=\[)(?P<mistral>/?)THINK\])"
)  # it begins with a set of characters, for which `re` searches quickly; likewise below and in other modules
_UNIFORM = re.compile(
    rf"{BEGIN_THOUGHT}\s*(?P<thought>.*?)\s*{END_THOUGHT}\s+{BEGIN_SOLUTION}\s*(?P<solution>.*?)\s*{END_SOLUTION}",
    re.DOTALL,
)
_SPELLINGS = [f"<{slash}{name}>" for slash in ("", "/") for name in ("think", "thinking", "seed:think", "answer")]
_SPELLINGS += [
    "[THINK]",
    "[/THINK]",
    "<|begin_of_box|>",
    "<|end_of_box|>",
    "<|channel|>",
    "<|start|>assistant",
    "<|end|>",
]
_SPELLINGS += [
    f"{left}{edge}_of_{what}{right}"
    for left, right in (("<", ">"), ("<|", "|>"), ("[", "]"))
    for edge in ("begin", "end")
    for what in ("slow_thought", "thought", "solution")
]
CACHED = 32  # texts whose tags and blocks are kept, since the same parts of an answer are read several times
_LEAST_CUT = 3  # the fewest characters that count as the beginning of a tag


@dataclass(frozen=True)
class Tag:
    """A tag of any dialect: its edge ("begin", "end"), of what ("thought", "solution"), its place in the text."""

    edge: str
    what: str
    start: int
    end: int

    def opens(self, what: str) -> bool:
        """Whether it begins a section of that kind."""
        return (self.edge, self.what) == ("begin", what)

    def closes(self, what: str) -> bool:
        """Whether it ends a section of that kind."""
        return (self.edge, self.what) == ("end", what)


def render(thought: str, solution: str) -> str:
    """The uniform format of a thought and a solution, each without surrounding blank space."""
    return (
        f"{BEGIN_THOUGHT}\n\n{thought.strip()}\n\n{END_THOUGHT}\n\n"
        f"{BEGIN_SOLUTION}\n\n{solution.strip()}\n\n{END_SOLUTION}"
    )


def split_uniform(text: str) -> tuple[str, str] | None:
    """The thought and the solution of a text in the uniform format, None for other texts."""
    match = _UNIFORM.fullmatch(text.strip())
    return (match["thought"], match["solution"]) if match else None


@lru_cache(CACHED)
def find_tags(text: str) -> tuple[Tag, ...]:
    """Every tag of every dialect in a text, in order."""
    return tuple(Tag(*_kind(match), match.start(), match.end()) for match in TAG.finditer(text))


def thought_opening(prompt: str) -> str:
    """The tag that opens a thought, in any dialect, at the end of a prompt, with the blank space after it; or ""."""
    tags = [tag for tag in find_tags(prompt) if not prompt[tag.end :].strip()]
    opens = bool(tags) and tags[-1].opens("thought")
    return prompt[tags[-1].start :] if opens else ""


def ends_in_thought(prompt: str, question: str) -> bool:
    """Whether a prompt, as the model receives it, ends inside a thought that opens after its question."""
    end = prompt.rfind(question.strip())
    if end < 0:
        return bool(thought_opening(prompt))
    tags = [tag for tag in find_tags(prompt[end + len(question.strip()) :]) if tag.what == "thought"]
    return bool(tags) and tags[-1].opens("thought")


def without_cut_tag(text: str) -> str:
    """The text of an answer that was cut off by length, without the first characters of a tag at its end."""
    for size in range(max(map(len, _SPELLINGS)) - 1, _LEAST_CUT - 1, -1):
        if any(len(tag) > size and text.endswith(tag[:size]) for tag in _SPELLINGS):
            return text[:-size]
    return text


def _kind(match: re.Match) -> tuple[str, str]:
    what = "solution" if match["what"] in ("solution", "box") or match["name"] == "answer" else "thought"
    return match["edge"] or ("end" if match["slash"] or match["mistral"] else "begin"), what
