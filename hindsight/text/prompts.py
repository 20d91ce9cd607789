"""The prompts of the models, all in one place.

The form is the paper's: a system message asks for a long thought and then a solution in named sections, the user
message names the kind of task and gives the question; a base model gets the same as a transcript whose thought is
already open. The tags come from `hindsight.text.uniform_format`, so prompts, answers and datasets always agree.

A user's own prompts are a Jinja file with up to three blocks; a missing block keeps the text of this module:

    {% block system %}You are a careful programmer.{% endblock %}
    {% block user %}{{ task }} {{ question }} {% if starter_code %}Code: {{ starter_code }}{% endif %}{% endblock %}
    {% block transcript %}Q: {{ question }}\nA: {{ begin_thought }}\n\n{% endblock %}

`user` may use `task`, `question`, `starter_code`, `fn_name`, `problem` (the whole row) and the four tags
`begin_thought`, `end_thought`, `begin_solution`, `end_solution`; `transcript` also `system` and `user`.
"""

from pathlib import Path
from typing import Any

import jinja2

from hindsight.errors import UserError
from hindsight.problem_sets.problems import function_name
from hindsight.text.uniform_format import BEGIN_SOLUTION, BEGIN_THOUGHT, END_SOLUTION, END_THOUGHT, thought_opening

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


BLOCKS = ("system", "user", "transcript")


def task_of(problem: dict[str, Any]) -> str:
    """The sentence that names the kind of task: standard input or a function."""
    name = function_name(problem)
    return CALL_TASK.format(name=name) if name else STDIN_TASK


def user_prompt(problem: dict[str, Any]) -> str:
    """The kind of task, the question and, if there is one, the starter code.

    `problem` is a row of `hindsight.problem_sets.selection.load_problems`, with or without its tests.
    """
    parts = [task_of(problem), problem["question"].strip()]
    starter = (problem.get("starter_code") or "").rstrip()
    if starter:
        parts.append(f"Start from this code:\n```python\n{starter}\n```")
    return "\n\n".join(parts)


class Prompts:
    """The prompts of a run: these, or with a Jinja file the user's own blocks; with or without a system message.

    Raises UserError when the file is missing, is not a template, or uses an unknown name.
    """

    def __init__(self, file: str = "", system_prompt: bool = True):
        self.file, self.system_prompt = file, system_prompt
        self._template = _read_template(file) if file else None

    def chat(self, problem: dict[str, Any]) -> list[dict[str, str]]:
        """The system and the user message for an instruct model."""
        system, user = self._system_and_user(problem)
        return [{"role": "system", "content": system}] * bool(system) + [{"role": "user", "content": user}]

    def transcript(self, problem: dict[str, Any]) -> str:
        """The text that a base model continues; ours ends with the tag that opens the thought, and a blank line."""
        system, user = self._system_and_user(problem)
        own = self._block("transcript", problem, system=system, user=user)
        if own is not None:
            return own
        return f"{system}\n\n" * bool(system) + f"User: {user}\n\nAssistant: {BEGIN_THOUGHT}\n\n"

    def thought_opening(self, problem: dict[str, Any]) -> str:
        """The end of the transcript that belongs to the answer: the tag that opens the thought; may be empty."""
        return thought_opening(self.transcript(problem))

    def extra_body(self, role: str) -> dict[str, Any]:
        """Further keys that the prompt requires in a request to the model of this role."""
        return {}

    def stop_words(self, role: str, problem: dict[str, Any]) -> list[str]:
        """The strings that end an answer and do not belong to it; if none, the script's own setting applies."""
        return []

    def marks(self, role: str, problem: dict[str, Any]) -> dict[str, Any]:
        """The keys of an answer's record that tell step 2 about the prompt; none for the uniform format."""
        return {}

    def same_answer(self, problem: dict[str, Any]) -> bool:
        """Whether the same answer text continues both the chat and the transcript, as switching needs."""
        return True

    def answer(self, role: str, problem: dict[str, Any], converted_text: str) -> str:
        """The part of a converted answer that the model of this role writes; "" if it does not fit the prompt."""
        return converted_text

    def _system_and_user(self, problem: dict[str, Any]) -> tuple[str, str]:
        own = self._block("system", problem) if self.system_prompt else ""
        user = self._block("user", problem)
        return SYSTEM_PROMPT if own is None else own, user_prompt(problem) if user is None else user

    def _block(self, name: str, problem: dict[str, Any], **more: str) -> str | None:
        """A block of the user's file for a problem, None if the file lacks it."""
        if self._template is None or name not in self._template.blocks:
            return None
        values = {
            "task": task_of(problem),
            "question": problem["question"].strip(),
            "starter_code": (problem.get("starter_code") or "").rstrip(),
            "fn_name": function_name(problem),
            "problem": problem,
            "begin_thought": BEGIN_THOUGHT,
            "end_thought": END_THOUGHT,
            "begin_solution": BEGIN_SOLUTION,
            "end_solution": END_SOLUTION,
        }
        try:
            context = self._template.new_context({**values, **more})
            return "".join(self._template.blocks[name](context))
        except (jinja2.TemplateError, TypeError) as error:
            raise UserError(f"{self.file}, block {name}: {error}") from None


def _read_template(file: str) -> jinja2.Template:
    try:
        source = Path(file).read_text(encoding="utf-8")
        template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(source)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the prompt file {file} cannot be read: {error}") from None
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.message}") from None
    strange = sorted(set(template.blocks) - set(BLOCKS))
    if strange or not template.blocks:
        has = f"has a block {strange[0]!r}" if strange else "has no blocks"
        raise UserError(f"the prompt file {file} {has}; it may have the blocks {', '.join(BLOCKS)}")
    return template
