"""The few-shot prompt: its examples and its task, character by character, and what it refuses."""

import pytest
from problem_rows import HUB_MBPP, HUMANEVAL, MBPP, write

from hindsight.errors import UserError
from hindsight.problem_sets import evalplus
from hindsight.text.prompt_styles import prompts_of_style

TEN = {
    "task_id": 10,
    "text": "Ten.",
    "code": "def ten():\r\n  return 10 ",
    "test_list": ["assert ten() == 10", "assert 1"],
}
TWO = {**MBPP, "task_id": "Mbpp/3", "prompt": '"""\nDouble it.\nassert double(2) == 4\nassert double(0) == 0\n"""\n',
       "entry_point": "double", "canonical_solution": "\ndef double(x):\n    return 2 * x\n"}  # fmt: skip
ADD = {**evalplus.problem(MBPP, ""), "question_id": 2}


def few_shot(file):
    return prompts_of_style("few_shot", "", True, str(file))


def test_the_prompt_shows_each_example_and_then_the_task_with_the_tests_that_evalplus_shows(tmp_path):
    """A row of MBPP, of which EvalPlus shows the first assert, and one of EvalPlus with two."""
    write(tmp_path / "ten.jsonl", TEN)
    write(tmp_path / "two.jsonl", TWO)
    words = "You are a Python programmer of great skill. This is your task:"
    tests = "Your code has to pass these tests:"
    shot = f"{words} Ten. {tests}\n\nassert ten() == 10\n[BEGIN]\ndef ten():\n  return 10\n[DONE]\n\n"
    task = f"{words} Write a function to add two numbers. {tests}\n\nassert add(1, 2) == 3\n[BEGIN]\n"
    assert few_shot(tmp_path / "ten.jsonl").transcript(ADD) == shot + task
    shot = f"{words} Double it. {tests}\n\nassert double(2) == 4\nassert double(0) == 0\n[BEGIN]\n"
    shot += "def double(x):\n    return 2 * x\n[DONE]\n\n"
    assert few_shot(tmp_path / "two.jsonl").transcript(ADD) == shot + task
    write(tmp_path / "tens.jsonl", TEN, {**TEN, "text": "Tens."})
    prompt = few_shot(tmp_path / "tens.jsonl").transcript(ADD)
    assert prompt.index(" Ten. ") < prompt.index(" Tens. ") and prompt.endswith(f"[DONE]\n\n{task}")


def test_an_answer_ends_at_done_and_its_record_says_so(tmp_path):
    prompts = few_shot(write(tmp_path / "ten.jsonl", TEN))
    assert prompts.stop_words("base", ADD) == ["[DONE]"]
    assert prompts.marks("base", ADD) == {
        "prompt_style": "few_shot",
        "continues": "[BEGIN]\n",
        "stop_words": ["[DONE]"],
    }
    assert (prompts.extra_body("base"), prompts.thought_opening(ADD)) == ({}, "")


@pytest.mark.parametrize(
    ("row", "problem", "words"),
    [
        ({key: value for key, value in TWO.items() if key != "canonical_solution"}, ADD, "row 0 of .* has no program"),
        (HUMANEVAL, ADD, "row 0 of .* has no words with asserts"),
        (TEN, {**evalplus.problem(HUMANEVAL, ""), "question_id": 0}, "question 0 has no words with asserts"),
        (TEN, {"question": "Add."}, "a question has no words with asserts"),
        ({**HUB_MBPP, "test_list": HUB_MBPP["test_list"][1:]}, ADD, "question 2 is one of EXAMPLES"),
    ],
)
def test_problems_that_do_not_fit_are_one_sentence(tmp_path, row, problem, words):
    with pytest.raises(UserError, match=words):
        few_shot(write(tmp_path / "row.jsonl", row)).transcript(problem)


def test_examples_belong_to_this_style():
    with pytest.raises(UserError, match="few_shot needs EXAMPLES"):
        few_shot("")
    with pytest.raises(UserError, match="EXAMPLES is for PROMPT_STYLE few_shot"):
        prompts_of_style("evalplus", "", True, "ten.jsonl")
