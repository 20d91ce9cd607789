"""A text prompt with solved examples, for base models, in the form that MBPP's authors used.

Austin et al. 2021, "Program Synthesis with Large Language Models", section 3 and figure 1: some problems with their
programs, then the task. The sentences here are ours, the form is theirs. An example, and the task up to [BEGIN]:

    You are a Python programmer of great skill. This is your task: Write a function to add two numbers. Your code has to
    pass these tests:

    assert add(1, 2) == 3
    [BEGIN]
    def add(a, b):
        return a + b
    [DONE]

Their examples are problems 2, 3 and 4 of MBPP, with all of their tests. The prompts here show the tests that EvalPlus's
prompt shows, for examples and task alike, so that every style tells a model the same about a task.
"""

from typing import Any

from hindsight.errors import require
from hindsight.problem_sets.evalplus import words_and_asserts
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.problems import Problem
from hindsight.text.prompts import Prompts

STYLE, BEGIN, DONE = "few_shot", "[BEGIN]\n", "[DONE]"
TASK = "You are a Python programmer of great skill. This is your task: {} Your code has to pass these tests:\n\n{}\n"


class FewShotPrompts(Prompts):
    """Text prompts with the problems of a file and their programs (`code` or `canonical_solution`) before the task.

    Raises UserError for a file that cannot be read, or has a problem without words, an assert or a program.
    """

    def __init__(self, examples: str):
        super().__init__()
        require(bool(examples), f"PROMPT_STYLE {STYLE} needs EXAMPLES: a file of problems with their programs")
        problems = ProblemSet(examples)
        require(len(problems) > 0, f"EXAMPLES {examples} has no problem")
        shots = [_shot(problems, number) for number in range(len(problems))]
        self._tasks = {task for task, _ in shots}
        self._before = "".join(f"{task}{BEGIN}{code}\n{DONE}\n\n" for task, code in shots)

    def transcript(self, problem: Problem) -> str:
        """Raises UserError for a problem without words and asserts, and for one of the examples."""
        where = f"question {problem['question_id']}" if "question_id" in problem else "a question"
        task = _task(problem, where)
        require(task not in self._tasks, f"{where} is one of EXAMPLES, which show its program: leave it out of one")
        return f"{self._before}{task}{BEGIN}"

    def thought_opening(self, problem: Problem) -> str:
        return ""

    def stop_words(self, role: str, problem: Problem) -> list[str]:
        return [DONE]

    def marks(self, role: str, problem: Problem) -> dict[str, Any]:
        return {"prompt_style": STYLE, "continues": BEGIN, "stop_words": [DONE]}


def _shot(problems: ProblemSet, number: int) -> tuple[str, str]:
    """An example's task and program."""
    row, where = problems.columns(number), f"row {number} of {problems.source}"
    code = row.get("code") or row.get("canonical_solution")
    require(isinstance(code, str) and bool(code.strip()), f"{where} has no program: `code` or `canonical_solution`")
    return _task(problems.problem(number, row), where), "\n".join(str(code).strip().splitlines())


def _task(problem: Problem, where: str) -> str:
    words, tests = words_and_asserts(problem["prompt"]) if isinstance(problem.get("prompt"), str) else ("", "")
    shows = bool(words and tests)
    require(shows, f"{where} has no words with asserts, as MBPP's problems have: PROMPT_STYLE {STYLE} is for these")
    return TASK.format(words, tests)
