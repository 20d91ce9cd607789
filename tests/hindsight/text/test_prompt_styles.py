"""EvalPlus's way to ask: the messages, the text, the stop words and what a record says of them."""

import pytest
from problem_rows import HUB_MBPP, HUMANEVAL, MBPP

from hindsight.errors import UserError
from hindsight.problem_sets import evalplus
from hindsight.text.code_blocks import fenced
from hindsight.text.prompt_styles import prompts_of_style, was_cut_off
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import render

ADD, DOUBLE = evalplus.problem(MBPP, ""), evalplus.problem(HUMANEVAL, "")
TASK = '"""\nWrite a function to add two numbers.\nassert add(1, 2) == 3\n"""'
SPECIAL = ["<|endoftext|>", "<|endofmask|>", "</s>"]
COMMON = [*SPECIAL, "\nif __name__", "\ndef main(", "\nprint("]


def test_a_chat_has_the_prompt_in_a_block_and_the_beginning_of_its_answer():
    prompts = prompts_of_style("evalplus", "", True)
    user, begun = prompts.chat(ADD)
    assert user["role"] == "user" and user["content"].endswith(
        f"problem. Give the script in a Markdown code block:\n```\n{TASK}\n```\n".partition("problem. ")[2]
    )
    assert begun["role"] == "assistant" and begun["content"].endswith(":\n```python\n")
    assert prompts.extra_body("instruct") == {"add_generation_prompt": False, "continue_final_message": True}
    words = prompts.stop_words("instruct", ADD)
    assert (words[0], sorted(words)) == ("\n```\n", sorted([*COMMON, "\n```\n"]))
    assert prompts.marks("instruct", ADD) == {
        "prompt_style": "evalplus",
        "continues": begun["content"],
        "stop_words": words,
    }


def test_without_a_beginning_a_chat_has_a_system_message_and_no_stop_words():
    prompts = prompts_of_style("evalplus_openai", "", True)
    system, user = prompts.chat(ADD)
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].endswith(f"\n```python\n{TASK}\n```")
    assert prompts_of_style("evalplus_openai", "", False).chat(ADD) == [user]
    assert (prompts.extra_body("instruct"), prompts.stop_words("instruct", ADD)) == ({}, [])
    assert prompts.marks("instruct", ADD) == {"prompt_style": "evalplus_openai", "continues": "", "stop_words": []}


@pytest.mark.parametrize(
    ("problem", "text", "words"),
    [
        (ADD, f"{TASK}\n", ['\n"""', "\nassert"]),
        (evalplus.problem(HUB_MBPP, ""), None, ['\n"""', "\nassert"]),
        (DOUBLE, HUMANEVAL["prompt"], ["\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "]),
    ],
)
def test_a_base_model_continues_the_prompt_up_to_its_sets_stop_words(problem, text, words):
    prompts = prompts_of_style("evalplus", "", True)
    assert prompts.transcript(problem) == (text or prompts.transcript(problem)).strip() + "\n"
    found = prompts.stop_words("base", problem)
    assert (found[: len(words)], sorted(found)) == (words, sorted([*COMMON, *words]))
    assert prompts.marks("base", problem)["continues"] == prompts.transcript(problem)
    assert (prompts.extra_body("base"), prompts.thought_opening(problem)) == ({}, "")


def test_the_uniform_format_says_nothing_of_itself():
    prompts = prompts_of_style("", "", True)
    assert type(prompts) is Prompts
    assert (prompts.extra_body("instruct"), prompts.stop_words("base", ADD), prompts.marks("base", ADD)) == ({}, [], {})


CODE, BODY = "def add(a, b):\n    return a + b", "    return 2 * x"


@pytest.mark.parametrize(
    ("problem", "program", "after_begun", "after_text"),
    [
        (ADD, CODE, f"{CODE}\n```", CODE),
        (ADD, f"{TASK}\n{CODE}", f"{TASK}\n{CODE}\n```", CODE),
        (DOUBLE, HUMANEVAL["prompt"] + BODY, f"{HUMANEVAL['prompt']}{BODY}\n```", BODY),
        (DOUBLE, f"def double(x):\n{BODY}", f"def double(x):\n{BODY}\n```", None),  # its head is another one
    ],
)
def test_a_model_is_to_write_the_program_behind_what_its_prompt_has_begun(problem, program, after_begun, after_text):
    converted = render("", fenced(program))
    prompts = prompts_of_style("evalplus", "", True)
    assert prompts.answer("instruct", problem, converted) == prompts.chat(problem)[-1]["content"] + after_begun
    assert prompts.answer("base", problem, converted) == (after_text or "")
    assert prompts_of_style("evalplus_openai", "", True).answer("instruct", problem, converted) == fenced(program)


def test_no_answer_fits_without_a_program_or_with_a_fence_in_it():
    prompts = prompts_of_style("evalplus", "", True)
    for program in ("", f'{CODE}\n\nTEXT = """\n```\n"""'):
        assert prompts.answer("instruct", ADD, render("", fenced(program))) == ""
    assert Prompts().answer("instruct", ADD, "as it is") == "as it is"


def test_an_answer_with_a_stop_word_in_it_was_not_cut_off():
    words = prompts_of_style("evalplus", "", True).stop_words("instruct", ADD)
    for text, cut in ((CODE, True), (f"{CODE}{words[-1]}and more", False)):
        record = {"generated_text": text, "stop_words": words}
        assert was_cut_off({**record, "finish_reason": "length"}) is cut
        assert not was_cut_off({**record, "finish_reason": "stop"})
    assert was_cut_off({"generated_text": f"{CODE}{words[-1]}", "finish_reason": "length"})


def test_bad_styles_are_one_sentence():
    with pytest.raises(UserError, match="PROMPT_STYLE is empty or evalplus or .* or few_shot, not 'humaneval'"):
        prompts_of_style("humaneval", "", True)
    with pytest.raises(UserError, match="leave PROMPT_FILE empty"):
        prompts_of_style("evalplus", "mine.jinja", True)
    with pytest.raises(UserError, match="question 3 has no prompt of EvalPlus"):
        prompts_of_style("evalplus", "", True).chat({"question_id": 3, "question": "Add."})
