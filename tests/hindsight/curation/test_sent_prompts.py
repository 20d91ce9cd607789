"""Which answers were sampled with other prompts than their rows would have, and how they are refused."""

import json

import pytest

from hindsight.curation.sent_prompts import has_other_prompts, refuse_other_prompts
from hindsight.curation.training_rows import RowOptions
from hindsight.errors import UserError
from hindsight.text.prompts import Prompts

PROBLEM = {"question": "Add.", "starter_code": ""}
OWN = "{% block user %}Do: {{ question }}{% endblock %}{% block transcript %}Q: {{ question }}\nA:{% endblock %}"


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text(OWN)
    return Prompts(str(path))


def sent(prompts):
    """What the three kinds of runs record: a chat, a transcript, and both in switching."""
    chat, transcript = prompts.chat(PROBLEM), prompts.transcript(PROBLEM)
    return [chat, transcript, {"instruct": chat, "base": transcript}]


def is_other(prompt, prompts):
    return has_other_prompts({"prompt": prompt, "metadata": PROBLEM}, prompts)


def test_the_same_prompts_are_recognised_in_every_kind_of_run(own):
    for prompts in (Prompts(), own, Prompts(system_prompt=False)):
        assert not any(is_other(prompt, prompts) for prompt in sent(prompts))


def test_other_prompts_are_recognised_in_every_kind_of_run(own):
    assert all(is_other(prompt, own) for prompt in sent(Prompts()))
    assert all(is_other(prompt, Prompts()) for prompt in sent(own))
    assert all(is_other(prompt, Prompts()) for prompt in sent(Prompts(system_prompt=False)))


def test_one_role_with_other_prompts_is_enough(own):
    ours, theirs = sent(Prompts())[2], sent(own)[2]
    assert is_other({**ours, "base": theirs["base"]}, Prompts())
    assert is_other({**ours, "instruct": theirs["instruct"]}, Prompts())


def test_an_answer_without_a_recorded_prompt_is_not_compared():
    assert not any(is_other(prompt, Prompts()) for prompt in ("", [], None, {}))
    assert not has_other_prompts({"metadata": PROBLEM}, Prompts())


def rows_with(prompt_file, system_prompt=True, style=""):
    return RowOptions(
        base=False, prompt_file=prompt_file, system_prompt=system_prompt, think_tags=False, prompt_style=style
    )


@pytest.mark.parametrize(
    ("settings", "ours", "words"),
    [
        (
            {"prompt_file": "a.jinja"},
            "",
            ["with the prompts of a.jinja, not the default prompts", "--prompt_file a.jinja"],
        ),
        ({"prompt_file": "a.jinja"}, "b.jinja", ["the prompts of a.jinja, not the prompts of b.jinja"]),
        (
            {"prompt_file": ""},
            "b.jinja",
            ["the default prompts, not the prompts of b.jinja", "leave PROMPT_FILE empty"],
        ),
        ({}, "b.jinja", ["the default prompts, not the prompts of b.jinja"]),
        ({"prompt_file": "a.jinja"}, "a.jinja", ["the prompts of a.jinja, which have changed since"]),
        ({"system_prompt": False}, "", ["without a system message (SYSTEM_PROMPT false)", "--system_prompt false"]),
    ],
)
def test_the_refusal_names_the_folder_both_prompts_and_the_flags(settings, ours, words, tmp_path):
    run = {"script": "single_model_inference.py", "settings": settings}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError) as error:
        refuse_other_prompts(tmp_path, rows_with(ours))
    for word in (str(tmp_path), "--other_prompts", *words):
        assert word in str(error.value)


def test_a_run_with_a_system_message_is_refused_for_rows_without(tmp_path):
    run = {"script": "single_model_inference.py", "settings": {"system_prompt": True}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match="sampled with a system message .* give --system_prompt true"):
        refuse_other_prompts(tmp_path, rows_with("", system_prompt=False))


@pytest.mark.parametrize(
    ("sent", "rows", "words"),
    [
        ("evalplus", "", "with PROMPT_STYLE evalplus, not in the uniform format, .* give --prompt_style evalplus"),
        ("", "evalplus", "in the uniform format, not with PROMPT_STYLE evalplus, .* leave PROMPT_STYLE empty"),
        ("evalplus_openai", "evalplus", "give --prompt_style evalplus_openai, or"),
        ("few_shot", "", "sample it in another style, or"),
        ("evalplus", "evalplus", "with PROMPT_STYLE evalplus, whose prompts have changed since, .* sample it again"),
    ],
)
def test_a_run_in_another_style_is_refused_with_the_flag_that_helps(sent, rows, words, tmp_path):
    run = {"script": "switching_inference.py", "settings": {"prompt_style": sent}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match=words):
        refuse_other_prompts(tmp_path, rows_with("", style=rows))


def test_folders_that_no_sampling_script_made_are_not_refused(tmp_path):
    """The paper's files, whose prompts no setting reproduces: without run.json, or with that of step 2 only."""
    refuse_other_prompts(tmp_path, rows_with(""))
    (tmp_path / "run.json").write_text(json.dumps({"script": None, "steps": {"format_converter.py": {}}}))
    refuse_other_prompts(tmp_path, rows_with(""))
