"""Rows: the prompt and the answer of a chat and of a transcript."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problem_rows import MBPP
from scripts import ROOT

from hindsight.curation.training_rows import RowOptions, TrainingRow, make_row, uniform_answer, with_think_tags
from hindsight.errors import UserError
from hindsight.problem_sets import evalplus
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import BEGIN_SOLUTION, BEGIN_THOUGHT, TAGS, render

ANSWER = render("hm", "```python\nprint(1)\n```")
RECORD = {"metadata": {"question": "Add.", "starter_code": ""}, "converted_text": ANSWER}


def test_a_base_models_prompt_ends_before_the_space_and_the_tag():
    row = make_row(RECORD, Prompts(), base=True)
    assert row.prompt.endswith("Assistant:") and row.answer == f" {ANSWER}"
    assert f"{row.prompt}{row.answer}".startswith(Prompts().transcript(RECORD["metadata"]))


def test_rows_have_the_prompts_of_the_users_file(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text(
        "{% block system %}{% endblock %}{% block user %}Do: {{ question }}{% endblock %}"
        "{% block transcript %}Q: {{ question }}\nA:\n{{ begin_thought }}\n\n{% endblock %}"
    )
    prompts = Prompts(str(path))
    row = make_row(RECORD, prompts, base=False)
    assert [turn["content"] for turn in row.messages()] == ["Do: Add.", ANSWER]
    row = make_row(RECORD, prompts, base=True)
    assert (row.prompt, row.answer) == ("Q: Add.\nA:\n", ANSWER) and ANSWER.startswith(BEGIN_THOUGHT)


def test_half_of_a_surrogate_pair_is_not_unicode():
    assert TrainingRow("", "a", "\U0001f600").is_unicode()
    assert not TrainingRow("", "a", "\ud83d").is_unicode() and not TrainingRow("", "\ud83d", "a").is_unicode()


@pytest.mark.parametrize(("style", "roles"), [("evalplus", ["user"]), ("evalplus_openai", ["system", "user"])])
def test_rows_in_a_prompt_style_are_what_was_sent_and_what_is_to_be_written(style, roles):
    problem, code = evalplus.problem(MBPP, ""), "def add(a, b):\n    return a + b"
    prompts = RowOptions(base=False, prompt_file="", system_prompt=True, think_tags=False, prompt_style=style).prompts()
    record = {"metadata": problem, "converted_text": render("", f"```python\n{code}\n```")}
    (*asked, answer), sent = make_row(record, prompts, base=False).messages(), prompts.chat(problem)
    begun = sent[-1]["content"] if sent[-1]["role"] == "assistant" else "```python\n"
    assert (asked, [turn["role"] for turn in asked]) == ([turn for turn in sent if turn["role"] in roles], roles)
    assert answer == {"role": "assistant", "content": f"{begun}{code}\n```"}
    assert make_row(record, prompts, base=True) == TrainingRow("", MBPP["prompt"], code)


def test_styles_that_make_no_rows_are_refused():
    with pytest.raises(UserError, match="few_shot is for sampling"):
        RowOptions(base=True, prompt_file="", system_prompt=True, think_tags=False, prompt_style="few_shot")


def test_think_tags_do_not_go_with_a_style_without_thoughts():
    with pytest.raises(UserError, match="THINK_TAGS is for answers with a thought"):
        RowOptions(base=False, prompt_file="", system_prompt=True, think_tags=True, prompt_style="evalplus")


SOLUTION = "```python\nprint(1)\n```"
THINK_PROMPTS = Prompts(str(ROOT / "SkyThought" / "train" / "think_prompts.jinja"))


@pytest.mark.parametrize(
    ("thought", "answer"),
    [("hm\n\nso", f"<think>\nhm\n\nso\n</think>\n\n{SOLUTION}"), ("", f"<think>\n\n</think>\n\n{SOLUTION}")],
)
def test_think_tags_are_written_as_qwen3_and_llamafactory_write_them(thought, answer):
    record = {**RECORD, "converted_text": render(thought, SOLUTION)}
    row = make_row(record, Prompts(), base=False, think_tags=True)
    assert row.answer == answer
    assert not any(tag in row.system + row.prompt + row.answer for tag in TAGS)


@pytest.mark.parametrize("base", [False, True])
def test_the_prompts_of_rows_with_think_tags_are_a_file_to_sample_with(base):
    """And what a base model's transcript leaves open is the tag with which the answer begins."""
    row = make_row(RECORD, Prompts(), base, think_tags=True)
    assert row == make_row(RECORD, THINK_PROMPTS, base, think_tags=True)
    if base:
        transcript = THINK_PROMPTS.transcript(RECORD["metadata"])
        assert f"{row.prompt}{row.answer}".startswith(transcript) and transcript.endswith("<think>\n")
    else:
        assert row.messages()[:-1] == THINK_PROMPTS.chat(RECORD["metadata"])


def test_a_prompt_that_names_a_tag_of_the_solution_in_a_sentence_is_refused():
    with pytest.raises(UserError, match="cannot replace <begin_of_solution> within a sentence"):
        with_think_tags(TrainingRow("", f"Write your program after {BEGIN_SOLUTION}, please.", ANSWER))
    row = with_think_tags(TrainingRow("", f"Think after {BEGIN_THOUGHT}, please.", "something else"))
    assert (row.prompt, row.answer) == ("Think after <think>, please.", "something else")


@given(*[st.text(st.sampled_from("ab \n#`"), min_size=1).map(str.strip)] * 2)
def test_think_tags_keep_thought_and_solution(thought, solution):
    answer = render(thought, solution)
    for space in ("", " "):
        row = with_think_tags(TrainingRow("", "", space + answer))
        assert row.answer.startswith(f"{space}<think>\n") and uniform_answer(row.answer) == answer
    assert uniform_answer(answer) == answer
