"""What the models are asked: the one place where prompts are written.

The shape is the paper's: a system message asks for a long thought and then a solution in named sections, the user
message names the kind of task and gives the question; a base model gets the same as a transcript whose thought is
already open. The tags come from `hindsight.formats`, so prompts, answers and datasets always agree.
"""

from typing import Any

from hindsight.formats import BEGIN_SOLUTION, BEGIN_THOUGHT, END_SOLUTION, END_THOUGHT
from hindsight.problems import function_name

SYSTEM_PROMPT = f"""You solve programming problems. First think slowly: say what is asked, weigh ways to do it, \
try them on the examples, find your mistakes and mend them. Then give the final solution. \
Write two sections, exactly in this form:

{BEGIN_THOUGHT}

your thought, step by step

{END_THOUGHT}

{BEGIN_SOLUTION}

a short explanation and the whole program in one ```python code block

{END_SOLUTION}"""

STDIN_TASK = "Write a Python program that reads standard input and prints the answer to standard output."
CALL_TASK = "Write a Python function `{name}` that returns the answer. Do not read input and do not call it."


def user_prompt(problem: dict[str, Any]) -> str:
    """The task's kind, the question and, where there is one, the starter code.

    `problem` is a row of `hindsight.problems.load_problems`, with or without its tests.
    """
    name = function_name(problem)
    task = CALL_TASK.format(name=name) if name else STDIN_TASK
    parts = [task, problem["question"].strip()]
    starter = (problem.get("starter_code") or "").rstrip()
    if starter:
        parts.append(f"Start from this code:\n```python\n{starter}\n```")
    return "\n\n".join(parts)


def chat_messages(problem: dict[str, Any]) -> list[dict[str, str]]:
    """The system and the user message for an instruct model."""
    return [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": user_prompt(problem)}]


def base_prompt(problem: dict[str, Any]) -> str:
    """A transcript for a base model, up to where its thought begins; it ends with the thought tag, a blank line."""
    return f"{SYSTEM_PROMPT}\n\nUser: {user_prompt(problem)}\n\nAssistant: {BEGIN_THOUGHT}\n\n"


REFORMAT_PROMPT = f"""You bring an answer to a programming problem into a fixed form. You copy; you do not improve: \
every sentence of the thought and every character of the code stays as it is, mistakes included, nothing is added \
and nothing left out. What leads up to the final solution is the thought; the final program, with the explanation \
that belongs to it, is the solution. If there is no program, the solution is the answer's last statement. \
Reply with the two sections and nothing else:

{BEGIN_THOUGHT}

the thought, copied

{END_THOUGHT}

{BEGIN_SOLUTION}

the explanation, copied, and the final program in one ```python code block

{END_SOLUTION}"""

REFORMAT_EXAMPLE = (
    "We need the sum. Just add, maybe read with split? Yes.\n```\na, b = map(int, input().split())\nprint(a + b)\n```",
    f"""{BEGIN_THOUGHT}

We need the sum. Just add, maybe read with split? Yes.

{END_THOUGHT}

{BEGIN_SOLUTION}

```python
a, b = map(int, input().split())
print(a + b)
```

{END_SOLUTION}""",
)


def reformat_messages(answer: str) -> list[dict[str, str]]:
    """The messages that ask a reformatting model for the uniform format of a raw answer, with one worked example."""
    return [
        {"role": "system", "content": REFORMAT_PROMPT},
        {"role": "user", "content": REFORMAT_EXAMPLE[0]},
        {"role": "assistant", "content": REFORMAT_EXAMPLE[1]},
        {"role": "user", "content": answer},
    ]
