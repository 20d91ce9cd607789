"""EvalPlus's way to ask: the messages, the text, the stop words and what a record says of them."""

import pytest
from problem_rows import HUB_MBPP, HUMANEVAL, MBPP

from hindsight.errors import UserError
from hindsight.problem_sets import evalplus
from hindsight.text.prompt_styles import prompts_of_style
from hindsight.text.prompts import Prompts

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


def test_bad_styles_are_one_sentence():
    with pytest.raises(UserError, match="PROMPT_STYLE is empty or evalplus or evalplus_openai, not 'humaneval'"):
        prompts_of_style("humaneval", "", True)
    with pytest.raises(UserError, match="leave PROMPT_FILE empty"):
        prompts_of_style("evalplus", "mine.jinja", True)
    with pytest.raises(UserError, match="question 3 has no prompt of EvalPlus"):
        prompts_of_style("evalplus", "", True).chat({"question_id": 3, "question": "Add."})
