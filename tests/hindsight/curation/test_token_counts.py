"""The tokens of a row are those that the model's tokenizer and chat template make."""

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from scripts import ROOT

from hindsight.curation.token_counts import TokenCounter
from hindsight.curation.training_rows import TrainingRow, make_row, with_think_tags
from hindsight.errors import UserError
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import render

LAB = ROOT / "lab" / "models" / "base"
LLAMA3 = ROOT / "SkyThought" / "train" / "llama3.jinja"
RECORD = {
    "metadata": {"question": "Add.", "starter_code": ""},
    "converted_text": render("hm", "```python\nprint(1)\n```"),
}
# Templates of the kinds of DeepSeek-R1, Qwen3, GLM-4.5 and Gemma, in our words
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
DROPS_THOUGHTS = CHATML.replace("m.content", "m.content.split('</think>')[-1]")
WRITES_THOUGHTS = CHATML.replace("m.content", "(m.content if m.role != 'assistant' or '<think>' in m.content "
                                              "else '<think>\n\n</think>\n\n' ~ m.content)")  # fmt: skip
MOVES_THOUGHTS = CHATML.replace("m.content", "('<think></think>\n' ~ m.content.split('</think>')[-1].strip() "
                                             "if m.role == 'assistant' else m.content)")  # fmt: skip
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
CHAT, TRANSCRIPT = (make_row(RECORD, Prompts(), base) for base in (False, True))


def test_a_chats_tokens_are_those_of_the_chat_template():
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(LAB)
    text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in CHAT.messages())
    assert TokenCounter(str(LAB), "", base=False)(CHAT) == len(tokenizer(text)["input_ids"])


def test_a_transcripts_tokens_are_those_of_its_text_and_the_end_of_text():
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(LAB)
    tokens = tokenizer(f"{TRANSCRIPT.prompt}{TRANSCRIPT.answer}")["input_ids"]
    assert TokenCounter(str(LAB), "", base=True)(TRANSCRIPT) == len(tokens) + 1


def test_all_tokens_are_counted_even_if_the_tokenizer_truncates(tmp_path):
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(LAB)
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((LAB / name).read_bytes())
    assert TokenCounter(str(tmp_path), "", base=False)(CHAT) == TokenCounter(str(LAB), "", base=False)(CHAT) > 50


def test_another_template_makes_other_tokens():
    own, llama3 = (TokenCounter(str(LAB), template, base=False)(CHAT) for template in ("", str(LLAMA3)))
    assert llama3 > own


def test_a_model_without_a_template_is_refused_unless_it_needs_none(tmp_path):
    for path in LAB.iterdir():
        if path.name in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="has no chat template, like most base models"):
        TokenCounter(str(tmp_path), "", base=False)
    TokenCounter(str(tmp_path), str(LLAMA3), base=False)
    TokenCounter(str(tmp_path), "", base=True)


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.PreTrainedTokenizerFast.from_pretrained(LAB)


@pytest.fixture(scope="module")
def count(tokenizer, tmp_path_factory):
    """Counts a row's tokens by a template."""
    counters = {}

    def run(template, row):
        if template not in counters:
            path = tmp_path_factory.mktemp("template") / "template.jinja"
            path.write_text(template)
            counters[template] = TokenCounter(str(LAB), str(path), base=False)
        return counters[template](row)

    return run


TEMPLATES = [CHATML, DROPS_THOUGHTS, WRITES_THOUGHTS, MOVES_THOUGHTS]


@pytest.mark.parametrize("template", TEMPLATES)
@given(thought=st.text(st.sampled_from("ab \n#"), max_size=40).map(str.strip))
def test_the_whole_answer_is_counted_whatever_the_template_drops(template, count, tokenizer, thought):
    row = with_think_tags(TrainingRow("Be good.", "Add.", render(thought, "print(1)")))
    text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in row.messages())
    assert count(template, row) == len(tokenizer(text)["input_ids"])


def test_a_long_thought_is_long_under_a_template_that_drops_it(count):
    long, short = (with_think_tags(TrainingRow("", "Add.", render(thought, "1"))) for thought in ("so " * 900, "so"))
    assert count(DROPS_THOUGHTS, long) - count(DROPS_THOUGHTS, short) >= 899
    assert count(DROPS_THOUGHTS, long) == count(CHATML, long)


def test_an_empty_thought_that_the_template_puts_before_our_tags_is_counted(count, tokenizer):
    """LLaMA-Factory's reasoning templates train on it, too."""
    empty = len(tokenizer("<think>\n\n</think>\n\n")["input_ids"])
    assert count(WRITES_THOUGHTS, CHAT) == count(CHATML, CHAT) + empty


@pytest.mark.parametrize(
    ("template", "drops"), [(CHATML, False), (DROPS_THOUGHTS, True), (WRITES_THOUGHTS, False), (MOVES_THOUGHTS, True)]
)
def test_a_template_that_drops_thoughts_is_known(template, drops, tmp_path):
    (tmp_path / "t.jinja").write_text(template)
    assert TokenCounter(str(LAB), str(tmp_path / "t.jinja"), base=False).drops_thought() is drops


def test_a_template_that_refuses_the_system_message_is_one_sentence(count):
    words = r"refuses a row \(System role not supported\); .* give --system_prompt false"
    with pytest.raises(UserError, match=words):
        count(NO_SYSTEM, CHAT)
    without = TrainingRow("", CHAT.prompt, CHAT.answer)
    assert count(NO_SYSTEM, without) == count(CHATML, without)
    with pytest.raises(UserError) as error:
        count("{{ raise_exception('no') }}", without)
    assert "system" not in str(error.value)
