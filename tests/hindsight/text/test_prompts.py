"""The prompts: their form, the tags that they name, and custom prompts from a Jinja file."""

import pytest

from hindsight.errors import UserError
from hindsight.text.prompts import Prompts, task_of, user_prompt
from hindsight.text.uniform_format import TAGS, thought_opening

READS = {"question_id": 1, "question": " Add two numbers.\n", "starter_code": "", "fn_name": None}
CALLED = {"question_id": 2, "question": "Double it.", "starter_code": "def double(x):\n", "fn_name": "double"}


@pytest.fixture
def prompts(tmp_path):
    """Prompts from a file with the given content."""

    def make(content, **more):
        (tmp_path / "mine.jinja").write_text(content)
        return Prompts(str(tmp_path / "mine.jinja"), **more)

    return make


def test_a_user_message_has_the_task_the_question_and_the_starter_code():
    reads, called = user_prompt(READS), user_prompt(CALLED)
    assert reads == f"{task_of(READS)}\n\nAdd two numbers."
    assert ("standard input" in task_of(READS), "standard input" in task_of(CALLED)) == (True, False)
    assert called.startswith(task_of(CALLED)) and "`double`" in task_of(CALLED)
    assert called.endswith("Double it.\n\nStart from this code:\n```python\ndef double(x):\n```")


def test_the_system_message_asks_for_the_four_tags_in_order():
    system, user = Prompts().chat(READS)
    assert (system["role"], user["role"], user["content"]) == ("system", "user", user_prompt(READS))
    places = [system["content"].index(tag) for tag in TAGS]
    assert places == sorted(places)


def test_a_base_model_continues_a_transcript_with_an_open_thought():
    system, text = Prompts().chat(READS)[0]["content"], Prompts().transcript(READS)
    assert text == f"{system}\n\nUser: {user_prompt(READS)}\n\nAssistant: <begin_of_slow_thought>\n\n"
    assert Prompts().thought_opening(READS) == "<begin_of_slow_thought>\n\n"


def test_without_a_system_message_a_chat_has_only_the_question():
    prompts = Prompts(system_prompt=False)
    assert prompts.chat(READS) == [{"role": "user", "content": user_prompt(READS)}]
    assert prompts.transcript(READS) == f"User: {user_prompt(READS)}\n\nAssistant: <begin_of_slow_thought>\n\n"


def test_a_custom_block_replaces_only_ours_of_that_name(prompts):
    mine = prompts("{% block user %}{{ fn_name or 'stdin' }}: {{ question }}|{{ problem.question_id }}{% endblock %}")
    assert [message["content"] for message in mine.chat(CALLED)] == [
        Prompts().chat(CALLED)[0]["content"],
        "double: Double it.|2",
    ]
    assert "User: stdin: Add two numbers.|1\n\nAssistant: <begin_of" in mine.transcript(READS)


def test_a_custom_transcript_decides_how_an_answer_begins(prompts):
    transcript = "{% block transcript %}{{ system }} {{ question }} <think>\n{% endblock %}"
    own = prompts("{% block system %}Go.{% endblock %}" + transcript)
    assert own.transcript(READS) == "Go. Add two numbers. <think>\n"
    assert own.thought_opening(READS) == "<think>\n"
    assert prompts("{% block transcript %}{{ user }}{% endblock %}").thought_opening(READS) == ""
    assert prompts("{% block system %}{% endblock %}").chat(READS) == Prompts(system_prompt=False).chat(READS)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{% block user %}{{ qestion }}{% endblock %}", "block user: 'qestion' is undefined"),
        ("{% block user %}{{ question }", "line 1: "),
        ("Solve: {{ question }}", "has no blocks; it may have the blocks system, user, transcript"),
        ("{% block prompt %}x{% endblock %}", "has a block 'prompt'"),
    ],
)
def test_a_file_without_a_valid_prompt_is_refused_in_one_sentence(prompts, content, sentence):
    with pytest.raises(UserError, match=sentence):
        prompts(content).chat(READS)


def test_a_missing_prompt_file_is_named():
    with pytest.raises(UserError, match=r"nowhere\.jinja cannot be read"):
        Prompts("nowhere.jinja")


@pytest.mark.parametrize(
    ("prompt", "end"),
    [
        ("A: <think>\n", "<think>\n"),
        ("A: [begin_of_thought]", "[begin_of_thought]"),
        ("A: <begin_of_slow_thought> well,", ""),
        ("A: </think>\n", ""),
        ("A: <begin_of_solution>\n", ""),
        ("A:", ""),
    ],
)
def test_the_opening_of_an_answer_is_the_thought_tag_that_a_prompt_ends_with(prompt, end):
    assert thought_opening(prompt) == end
