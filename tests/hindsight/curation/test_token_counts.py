"""The tokens of a row are those that the model's tokenizer and chat template make."""

import pytest
from scripts import ROOT
from transformers import AutoTokenizer

from hindsight.curation.token_counts import TokenCounter
from hindsight.curation.training_rows import make_row
from hindsight.errors import UserError
from hindsight.text.prompts import Prompts
from hindsight.text.uniform_format import render

LAB = ROOT / "lab" / "models" / "base"
LLAMA3 = ROOT / "SkyThought" / "train" / "llama3.jinja"
RECORD = {
    "metadata": {"question": "Add.", "starter_code": ""},
    "converted_text": render("hm", "```python\nprint(1)\n```"),
}
CHAT, TRANSCRIPT = (make_row(RECORD, Prompts(), base) for base in (False, True))


def test_a_chats_tokens_are_those_of_the_chat_template():
    tokenizer = AutoTokenizer.from_pretrained(LAB)
    text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in CHAT.messages())
    assert TokenCounter(str(LAB), "", base=False)(CHAT) == len(tokenizer(text)["input_ids"])


def test_a_transcripts_tokens_are_those_of_its_text_and_the_end_of_text():
    tokenizer = AutoTokenizer.from_pretrained(LAB)
    tokens = tokenizer(f"{TRANSCRIPT.prompt}{TRANSCRIPT.answer}")["input_ids"]
    assert TokenCounter(str(LAB), "", base=True)(TRANSCRIPT) == len(tokens) + 1


def test_all_tokens_are_counted_even_if_the_tokenizer_truncates(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(LAB)
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
