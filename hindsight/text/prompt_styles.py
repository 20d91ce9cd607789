"""How a run asks: in the uniform format of `prompts`, or as EvalPlus does, so that figures can stand beside its own.

What EvalPlus sends, by its version 0.3.1 (the words here are ours, the form is its own):

- a base model (`provider/vllm.py`) continues the prompt of the task as text, up to one of its stop words;
- a chat model (`provider/utility.py`) gets an instruction with the prompt in a code block, and continues an answer that
  is begun for it: a sentence and "```python"; it stops where the block ends;
- the OpenAI API (`provider/openai.py`), which continues no answer: a system message and the instruction; no stop words.

An answer's record says what it continues: `prompt_style`, and in `continues` the text that belongs before it, in
`stop_words` what ends it. vLLM 0.32 and the OpenAI API take four stop words a request (`VLLM_MAX_STOP_STRINGS`), so the
first four are sent, and step 2 cuts at the others.
"""

from typing import Any

from hindsight.errors import UserError, require
from hindsight.problem_sets.problems import Problem
from hindsight.text.prompts import Prompts

INSTRUCTION = "Solve the following problem by a self-contained Python script. Give the script in a Markdown code block:"
PREFIX = """This Python script has a self-contained function that solves the problem and passes the tests for it:
```python
"""
SYSTEM = "You are a helpful assistant who programs well."
# The most frequent first: a server may take four only, and step 2 cuts an answer at any of them.
STOP = ("\nif __name__", "\nprint(", "\ndef main(", "<|endoftext|>", "</s>", "<|endofmask|>")
STOP_OF_CHAT = ("\n```\n",)
STOP_OF_TEXT = {
    "mbpp": ('\n"""', "\nassert"),
    "humaneval": ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
}
CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}  # how vLLM continues an answer


class EvalplusPrompts(Prompts):
    """EvalPlus's prompts. `prefix`: begin a chat model's answer for it; without, ask as EvalPlus asks the OpenAI API.

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


STYLES = ("", "evalplus", "evalplus_openai")


def prompts_of_style(style: str, prompt_file: str, system_prompt: bool) -> Prompts:
    """The prompts of a run, by the settings PROMPT_STYLE, PROMPT_FILE and SYSTEM_PROMPT.

    Raises UserError for an unknown style, for a style with a prompt file, or for what is wrong with the file.
    """
    require(style in STYLES, f"PROMPT_STYLE is empty or {' or '.join(STYLES[1:])}, not {style!r}")
    if not style:
        return Prompts(prompt_file, system_prompt)
    require(not prompt_file, f"PROMPT_STYLE {style} has its own prompts: leave PROMPT_FILE empty")
    return EvalplusPrompts(style, system_prompt)


def _prompt_of(problem: Problem) -> str:
    if not isinstance(problem.get("prompt"), str):
        raise UserError(
            f"question {problem.get('question_id')} has no prompt of EvalPlus: PROMPT_STYLE evalplus is for its sets "
            "(mbppplus, humanevalplus, mbpp, humaneval)"
        )
    return problem["prompt"]
