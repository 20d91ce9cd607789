"""Rows: the prompt and the answer of a chat and of a transcript."""

from hindsight.curation.training_rows import TrainingRow, make_row
from hindsight.text.prompts import Prompts, base_prompt
from hindsight.text.uniform_format import BEGIN_THOUGHT, render

ANSWER = render("hm", "```python\nprint(1)\n```")
RECORD = {"metadata": {"question": "Add.", "starter_code": ""}, "converted_text": ANSWER}


def test_a_base_models_prompt_ends_before_the_space_and_the_tag():
    row = make_row(RECORD, Prompts(), base=True)
    assert row.prompt.endswith("Assistant:") and row.answer == f" {ANSWER}"
    assert f"{row.prompt}{row.answer}".startswith(base_prompt(RECORD["metadata"]))


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
