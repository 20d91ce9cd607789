"""The prompts of a reformatting model: two, with one worked example, and the JSON schemas of its replies."""

import json
from typing import Any

from hindsight.text.uniform_format import render

MODES = ("cut", "rewrite")

EXAMPLE_ANSWER = """We need the sum. First `print(input())`, no, that echoes.
Just add, maybe read with split? Yes.
Here is the program:
```
a, b = map(int, input().split())
print(a + b)
```"""
_THOUGHT, _SOLUTION = EXAMPLE_ANSWER.split("\nHere")

REWRITE_PROMPT = """You bring an answer to a programming problem into a fixed form. You copy; you do not improve: \
every sentence of the thought and every character of the code stays as it is, mistakes included, nothing is added \
and nothing left out. What leads up to the final solution is the thought; the final program in its code block, with \
the explanation that belongs to it, is the solution. If there is no program, the solution is the last statement. \
Reply with the two sections and nothing else, in this form:

"""
REWRITE_FORM = render("the thought, copied", "the explanation and the final program, copied")
REWRITE_EXAMPLE = {"thought": _THOUGHT, "solution": f"Here{_SOLUTION}"}

CUT_PROMPT = """You find two places in an answer to a programming problem, and quote a few words of it there. What \
leads up to the final solution is the thought: attempts, doubts, checks, drafts of code. Then comes the solution: an \
explanation, which may be missing, and the final program. Copy each quote from the answer character by character, \
mistakes included, and choose words that stand there only once:

- thought_end: the last three to ten words of the thought; empty if the answer begins with its solution
- code_begin: the first line of the final program, without the fence; empty if there is no program
- code_end: the last line of the final program, without the fence; empty if there is no program

Reply with the three quotes and nothing else, in this form:

"""
CUT_EXAMPLE = {
    "thought_end": "maybe read with split? Yes.",
    "code_begin": "a, b = map(int, input().split())",
    "code_end": "print(a + b)",
}
CUT_FORM = "\n".join(f"<{name}>the quote</{name}>" for name in CUT_EXAMPLE)


def reformat_messages(answer: str, mode: str, structured: bool) -> list[dict[str, str]]:
    """The messages that ask about a raw answer: instructions, a worked example, the answer.

    Mode "rewrite" asks for both sections, "cut" for quotes from the places where they end and begin. With
    `structured` they ask for a JSON object, else for tagged text.
    """
    prompt, form, example = {
        "rewrite": (REWRITE_PROMPT, REWRITE_FORM, REWRITE_EXAMPLE),
        "cut": (CUT_PROMPT, CUT_FORM, CUT_EXAMPLE),
    }[mode]
    if structured:
        form = f"a JSON object with the keys {', '.join(example)}."
        reply = json.dumps(example)
    elif mode == "rewrite":
        reply = render(**example)
    else:
        reply = "\n".join(f"<{name}>{quote}</{name}>" for name, quote in example.items())
    return [
        {"role": "system", "content": prompt + form},
        {"role": "user", "content": EXAMPLE_ANSWER},
        {"role": "assistant", "content": reply},
        {"role": "user", "content": answer},
    ]


def reformat_schema(mode: str) -> dict[str, Any]:
    """The `response_format` of a structured reply: an object of strings, each required."""
    names = list({"rewrite": REWRITE_EXAMPLE, "cut": CUT_EXAMPLE}[mode])
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": mode, "strict": True, "schema": schema}}


def reformat_again(reply: str, wrong: str) -> list[dict[str, str]]:
    """The messages to add after a rejected reply: the reply and what is wrong with it."""
    return [
        {"role": "assistant", "content": reply},
        {"role": "user", "content": f"That cannot be kept: {wrong}. Reply again, in the same form, about that answer."},
    ]
