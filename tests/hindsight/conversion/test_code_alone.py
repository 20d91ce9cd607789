"""Answers that are code alone: the program is the prompt and its completion, or the block that the prompt began."""

import ast

import pytest
from problem_rows import HUMANEVAL, MBPP

from hindsight.conversion.code_alone import convert_code_alone, needed_lines, parsed_beginning
from hindsight.conversion.conversions import raw_answer
from hindsight.conversion.sections import Undecided
from hindsight.errors import BrokenFile
from hindsight.problem_sets import evalplus
from hindsight.text.code_blocks import find_code_blocks
from hindsight.text.prompt_styles import prompts_of_style

ADD, DOUBLE = evalplus.problem(MBPP, ""), evalplus.problem(HUMANEVAL, "")
RIGHT = "def add(a, b):\n    return a + b"
SIGNATURE = HUMANEVAL["prompt"].strip()


def conversion(problem, role, text, style="evalplus", **more):
    prompts = prompts_of_style(style, "", True)
    record = {"generated_text": text, "metadata": problem, **prompts.marks(role, problem)}
    return convert_code_alone(raw_answer((1, 0), {**record, **more}))


def program(*given, **more):
    (block,) = find_code_blocks(conversion(*given, **more).sections.solution)
    return block.code.rstrip("\n")


@pytest.mark.parametrize(
    ("problem", "completion", "right"),
    [
        (DOUBLE, "    return 2 * x\n", f"{SIGNATURE}\n    return 2 * x"),
        (DOUBLE, "    return 2 * x\n\ndef other(y):\n    return y", f"{SIGNATURE}\n    return 2 * x"),
        (DOUBLE, "\treturn 2 * x\n", f"{SIGNATURE}\n    return 2 * x"),
        (DOUBLE, "    return 2 * x\n\nprint(double(4))\ninput()", f"{SIGNATURE}\n    return 2 * x"),
        (ADD, RIGHT + "\n\nassert add(1, 2) == 4", ADD["prompt"].strip() + "\n" + RIGHT),
        (ADD, RIGHT + "\n\nadd(1, 2)\nraise ValueError\n", RIGHT),
        (ADD, RIGHT + "\n\ndef add(a, b):\n    return 0\n", RIGHT),
        (ADD, "def add(a, b):\n    pass\n\n" + RIGHT, RIGHT),
        (ADD, RIGHT + "\n\ndef cut_off(a, b", ADD["prompt"].strip() + "\n" + RIGHT),
        (ADD, RIGHT + "\n\n# 数\ntext = 'cut off", ADD["prompt"].strip() + "\n" + RIGHT + "\n\n# 数"),
        (
            ADD,
            "import math\nadd = lambda a, b: a + b",
            f"{ADD['prompt'].strip()}\nimport math\nadd = lambda a, b: a + b",
        ),
        (ADD, "def add(a, b):\n    return a +", f"{ADD['prompt'].strip()}\ndef add(a, b):\n    return a +"),
    ],
)
def test_a_completion_continues_the_prompt_up_to_a_stop_word(problem, completion, right):
    assert program(problem, "base", completion) == right


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (RIGHT, "code block that the prompt began"),
        (RIGHT + "\n```\nIt adds.\n```python\nprint(add(1, 2))\n```", "code block that the prompt began"),
        (RIGHT + "\n\n# Test\nassert add(1, 1) == 3", "code block that the prompt began"),
        ("\n" + RIGHT + "\n", "code block that the prompt began"),
    ],
)
def test_a_chats_answer_is_the_block_that_the_prompt_began(answer, rule):
    found = conversion(ADD, "instruct", answer)
    assert (program(ADD, "instruct", answer), found.details["rule"], found.sections.thought) == (RIGHT, rule, "")


def test_a_chat_that_begins_an_answer_of_its_own_has_its_own_block():
    assert program(ADD, "instruct", f"Sure, here it is:\n\n```python\n{RIGHT}") == RIGHT
    assert program(ADD, "instruct", f"Sure, it's this one:\n\n```python\n{RIGHT}\n```\n\nIt adds.") == RIGHT


@pytest.mark.parametrize(
    ("answer", "thought"),
    [
        (f"Sure:\n\n```python\n{RIGHT}\n\nassert add(1, 1) == 3\n```\n\nIt adds.", "Sure:"),
        (f"<think>\nhm\n</think>\n\n```python\n{RIGHT}\n```", "hm"),
        (RIGHT, ""),
    ],
)
def test_without_a_beginning_an_answer_is_read_as_any_other(answer, thought):
    assert program(ADD, "instruct", answer, style="evalplus_openai") == RIGHT
    assert conversion(ADD, "instruct", answer, style="evalplus_openai").sections.thought == thought


@pytest.mark.parametrize(
    "answer",
    [
        f"{RIGHT}\n",
        f"\n{RIGHT}\n[DONE]\n\nYou are a Python programmer. This is your task: ...\n[BEGIN]\ndef add(a):\n    return 0",
        f"{RIGHT}\n\nassert add(1, 2) == 3\n[DONE",
        f"```python\n{RIGHT}\n```\n",
        f"Here it is:\n```python\n{RIGHT}\n```\nIt adds.",
    ],
)
def test_after_examples_the_program_is_the_answer_up_to_done(answer):
    record = {"generated_text": answer, "metadata": ADD, "finish_reason": "length"}
    marks = {"prompt_style": "few_shot", "continues": "[BEGIN]\n", "stop_words": ["[DONE]"]}
    found = convert_code_alone(raw_answer((2, 0), {**record, **marks}))
    (block,) = find_code_blocks(found.sections.solution)
    assert block.code.rstrip("\n") == RIGHT and found.details["rule"] == "program between [BEGIN] and [DONE]"


def test_what_the_function_needs_is_kept():
    code = """import os
from math import *
LIMIT = 3
LIMIT += 1
cache = {}
cache[0] = 1
unused = add(1, 2)
try:
    import numpy as np
except ImportError:
    np = None
for n in range(3):
    print(n)

class Node:
    pass

@staticmethod
def helper(n):
    return cache.get(n, LIMIT)

def add(a, b):
    n = Node()
    return np.sum(helper(a)) + b

def after():
    return unused
"""
    kept = needed_lines(code, "add")
    lines = [line for line in code.split("\n") if line]
    assert [line for line in lines if line not in kept.split("\n")] == [
        "unused = add(1, 2)", "for n in range(3):", "    print(n)", "def after():", "    return unused",
    ]  # fmt: skip
    ast.parse(kept)
    assert needed_lines(code, "missing") == needed_lines(code, None) == code


def test_the_parsed_beginning_is_the_longest():
    code = "def f(x):\n    y = (x,\n         1)\n    return y\n\ndef g(:\n    pass"
    lines = code.split("\n")
    longest = max(size for size in range(len(lines) + 1) if _parses("\n".join(lines[:size])))
    assert parsed_beginning(code) == "\n".join(lines[:longest])


def _parses(code):
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def test_an_empty_answer_holds_no_program_and_a_record_without_its_mark_is_broken():
    for role in ("base", "instruct"):
        with pytest.raises(Undecided) as refused:
            conversion(ADD, role, " \n")
        assert refused.value.lost
    with pytest.raises(BrokenFile, match="needs `continues`"):
        conversion(ADD, "base", RIGHT, continues=None)


def test_what_is_left_out_and_replaced_is_counted():
    found = conversion(DOUBLE, "base", "\treturn 2 * x\n\nx = 1\n")
    assert found.details == {"how": "rules", "rule": "completion of the prompt", "tabs": 1, "left_out": 7}
