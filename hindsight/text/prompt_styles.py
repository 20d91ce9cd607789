"""Prompt styles: the uniform format of `prompts`, or EvalPlus's own prompts, for scores to compare with EvalPlus's.

What EvalPlus 0.3.1 sends (the words here are ours, the form is EvalPlus's):

- a base model (`provider/vllm.py`) continues the prompt of the task as text, up to one of its stop words;
- a chat model (`provider/utility.py`) gets an instruction with the prompt in a code block, and continues an answer that
  begins with a sentence and "```python"; it stops where the block ends;
- the OpenAI API (`provider/openai.py`), which cannot continue an answer, gets a system message and the instruction, and
  no stop words.

`few_shot`, a module of its own, is the other style that asks for code alone.

An answer's record has `prompt_style`, in `continues` the text that belongs before the answer, and in `stop_words` what
ends it. vLLM 0.32 and the OpenAI API accept four stop words per request (`VLLM_MAX_STOP_STRINGS`), so the first four
are sent, and step 2 cuts at the others.
"""

import ast
from collections.abc import Mapping
from typing import Any

from hindsight.errors import UserError, require
from hindsight.problem_sets.problems import Problem
from hindsight.text import few_shot
from hindsight.text.code_blocks import fenced
from hindsight.text.few_shot import FewShotPrompts
from hindsight.text.program_choice import find_program, target_of
from hindsight.text.programs import syntax_tree
from hindsight.text.prompts import Prompts

INSTRUCTION = "Solve the following problem by a self-contained Python script. Give the script in a Markdown code block:"
PREFIX = """This Python script has a self-contained function that solves the problem and passes the tests for it:
```python
"""
SYSTEM = "You are a helpful assistant who programs well."
# The most frequent first: a server may accept only four; step 2 cuts an answer at any of them.
STOP = ("\nif __name__", "\nprint(", "\ndef main(", "<|endoftext|>", "</s>", "<|endofmask|>")
STOP_OF_CHAT = ("\n```\n",)
STOP_OF_TEXT = {"mbpp": ('\n"""', "\nassert"), "humaneval": ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")}
CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}  # how vLLM continues an answer


class EvalplusPrompts(Prompts):
    """EvalPlus's prompts. `prefix`: begin a chat model's answer; without it, ask as EvalPlus asks the OpenAI API.

    Its methods raise UserError for a problem without a prompt of EvalPlus.
    """

    def __init__(self, style: str, system_prompt: bool = True):
        super().__init__("", system_prompt)
        self.style, self.prefix = style, style == "evalplus"

    def chat(self, problem: Problem) -> list[dict[str, str]]:
        prompt = _prompt_of(problem).strip()
        if self.prefix:
            asked = {"role": "user", "content": f"{INSTRUCTION}\n```\n{prompt}\n```\n"}
            return [asked, {"role": "assistant", "content": PREFIX}]
        system = [{"role": "system", "content": SYSTEM}] * self.system_prompt
        return [*system, {"role": "user", "content": f"{INSTRUCTION}\n```python\n{prompt}\n```"}]

    def transcript(self, problem: Problem) -> str:
        return _prompt_of(problem).strip() + "\n"

    def thought_opening(self, problem: Problem) -> str:
        return ""

    def extra_body(self, role: str) -> dict[str, Any]:
        return CONTINUE if role == "instruct" and self.prefix else {}

    def stop_words(self, role: str, problem: Problem) -> list[str]:
        if role == "base":
            kind = "mbpp" if str(problem["task_id"]).startswith("Mbpp") else "humaneval"
            return [*STOP_OF_TEXT[kind], *STOP]
        return [*STOP_OF_CHAT, *STOP] if self.prefix else []

    def marks(self, role: str, problem: Problem) -> dict[str, Any]:
        continues = self.transcript(problem) if role == "base" else PREFIX if self.prefix else ""
        return {"prompt_style": self.style, "continues": continues, "stop_words": self.stop_words(role, problem)}

    def same_answer(self, problem: Problem) -> bool:
        return self.prefix and bool(_completion(self.transcript(problem), "pass"))

    def answer(self, role: str, problem: Problem, converted_text: str) -> str:
        program = (find_program(converted_text, target_of(problem)) or "").strip()
        if not program or role == "base":
            return _completion(self.transcript(problem), program)
        block = fenced(program)
        if not self.prefix:
            return block
        opened, _, rest = block.partition("\n")
        return PREFIX + rest if PREFIX.endswith(f"{opened}\n") else ""  # a longer fence than the one begun


STYLES = ("", "evalplus", "evalplus_openai", few_shot.STYLE)


def prompts_of_style(style: str, prompt_file: str, system_prompt: bool, examples: str = "") -> Prompts:
    """The prompts of a run, by the settings PROMPT_STYLE, PROMPT_FILE, SYSTEM_PROMPT and EXAMPLES.

    Raises UserError for an unknown style, for a file that the style does not read, or for an invalid one.
    """
    require(style in STYLES, f"PROMPT_STYLE is empty or {' or '.join(STYLES[1:])}, not {style!r}")
    require(not examples or style == few_shot.STYLE, f"EXAMPLES is for PROMPT_STYLE {few_shot.STYLE}")
    if not style:
        return Prompts(prompt_file, system_prompt)
    require(not prompt_file, f"PROMPT_STYLE {style} has its own prompts: leave PROMPT_FILE empty")
    return FewShotPrompts(examples) if style == few_shot.STYLE else EvalplusPrompts(style, system_prompt)


def stop_words_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The stop words in an answer's record; none if it is of the uniform format."""
    words = record.get("stop_words")
    return tuple(word for word in words if isinstance(word, str) and word) if isinstance(words, list) else ()


def was_cut_off(record: Mapping[str, Any]) -> bool:
    """Whether the token limit ended an answer: not if it contains a stop word that was not sent to the server."""
    text = record.get("generated_text") or ""
    return record.get("finish_reason") == "length" and not any(word in text for word in stop_words_of(record))


def _completion(prompt: str, program: str) -> str:
    """What follows a text prompt: the whole program after a docstring, its remainder after a function's head."""
    if program.startswith(prompt.strip() + "\n"):
        return program[len(prompt) :]
    tree = syntax_tree(prompt)
    only_docstring = tree is not None and all(isinstance(node, ast.Expr) for node in tree.body)
    return program if only_docstring else ""


def _prompt_of(problem: Problem) -> str:
    if not isinstance(problem.get("prompt"), str):
        question = f"question {problem['question_id']}" if "question_id" in problem else "a question"
        raise UserError(
            f"{question} has no prompt of EvalPlus: PROMPT_STYLE evalplus is for its sets "
            "(mbppplus, humanevalplus, mbpp, humaneval)"
        )
    return problem["prompt"]
