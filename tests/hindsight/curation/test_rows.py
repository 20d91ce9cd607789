"""Rows: their tokens, as the model's tokenizer and template make them."""

import json

import pytest
from scripts import ROOT
from transformers import AutoTokenizer

from hindsight.curation.rows import TokenCounter, is_unicode, make_row, read_rows
from hindsight.errors import UserError
from hindsight.text.prompts import Prompts, base_prompt
from hindsight.text.uniform_format import BEGIN_THOUGHT, render

LAB = ROOT / "lab" / "models" / "base"
LLAMA3 = ROOT / "SkyThought" / "train" / "llama3.jinja"
ANSWER = render("hm", "```python\nprint(1)\n```")
RECORD = {"metadata": {"question": "Add.", "starter_code": ""}, "converted_text": ANSWER}


def test_tokens_are_those_of_the_chat_template():
    row, tokenizer = make_row(RECORD, Prompts(), base=False), AutoTokenizer.from_pretrained(LAB)
    text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in row.messages())
    assert TokenCounter(str(LAB), "", base=False)(row) == len(tokenizer(text)["input_ids"])


def test_tokens_of_a_transcript_are_its_own_and_the_end():
    row, tokenizer = make_row(RECORD, Prompts(), base=True), AutoTokenizer.from_pretrained(LAB)
    assert TokenCounter(str(LAB), "", base=True)(row) == len(tokenizer(f"{row.prompt}{row.answer}")["input_ids"]) + 1


def test_a_tokenizer_that_cuts_by_itself_counts_all_tokens(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(LAB)
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((LAB / name).read_bytes())
    row = make_row(RECORD, Prompts(), base=False)
    assert TokenCounter(str(tmp_path), "", base=False)(row) == TokenCounter(str(LAB), "", base=False)(row) > 50


def test_another_template_gives_other_tokens():
    row = make_row(RECORD, Prompts(), base=False)
    own, llama3 = (TokenCounter(str(LAB), template, base=False)(row) for template in ("", str(LLAMA3)))
    assert llama3 > own


def test_a_model_without_a_template_is_refused_unless_it_needs_none(tmp_path):
    for path in LAB.iterdir():
        if path.name in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="has no chat template, as base models have none"):
        TokenCounter(str(tmp_path), "", base=False)
    TokenCounter(str(tmp_path), str(LLAMA3), base=False)
    TokenCounter(str(tmp_path), "", base=True)


def test_a_base_models_prompt_ends_before_the_space_and_the_tag():
    row = make_row(RECORD, Prompts(), base=True)
    assert row.prompt.endswith("Assistant:") and row.answer == f" {ANSWER}"
    assert f"{row.prompt}{row.answer}".startswith(base_prompt(RECORD["metadata"]))


def test_a_users_own_prompts_are_those_of_the_rows(tmp_path):
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


def test_half_of_a_surrogate_pair_is_no_unicode():
    assert is_unicode(["a", "\U0001f600"]) and not is_unicode(["a", "\ud83d"])


def test_a_line_separator_in_an_answer_ends_no_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"prompt": "a\u2028b", "completion": "c\x85d"}, ensure_ascii=False)
    path.write_text(f"{line}\n", encoding="utf-8")
    (row,) = read_rows(path)
    assert (row.prompt, row.answer) == ("a\u2028b", "c\x85d")
    path.write_text("[]")
    with pytest.raises(UserError, match="is no file of"):
        list(read_rows(path))
