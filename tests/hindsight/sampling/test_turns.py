"""Turn lengths, and the vocabulary of two models: the same, the same except for a few translated ids, or different."""

import asyncio
import random
import statistics

import pytest

from hindsight.errors import UserError
from hindsight.sampling import vocabulary
from hindsight.sampling.turns import TurnLength, parse_turn_length
from hindsight.sampling.vocabulary import SharedVocabulary, find_shared_vocabulary
from hindsight.servers.client import ModelServer
from hindsight.servers.replies import BadReply


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("50", TurnLength(50, 50)),
        ("20-80", TurnLength(20, 80)),
        ("20 - 80", TurnLength(20, 80)),
        ("geometric 50", TurnLength(50, 50, geometric=True)),
        ("1", TurnLength(1, 1)),
    ],
)
def test_a_turns_length_is_a_number_a_range_or_geometric(text, length):
    assert parse_turn_length(text) == length


@pytest.mark.parametrize("text", ["", "0", "0-5", "9-3", "-4", "ten", "geometric", "geometric 0", "3.5", "1-2-3"])
def test_a_malformed_length_is_refused_and_the_three_forms_are_named(text):
    with pytest.raises(UserError, match='"50" tokens, "20-80" or "geometric 50"'):
        parse_turn_length(text)


def lengths(text, count=4000):
    chance = random.Random(0)
    return [parse_turn_length(text).draw(chance) for _ in range(count)]


def test_a_uniform_length_takes_every_value_of_its_range_equally_often():
    found = lengths("3-6")
    assert set(found) == {3, 4, 5, 6}
    assert all(abs(found.count(each) - 1000) < 120 for each in (3, 4, 5, 6))


def test_a_geometric_length_has_its_mean_and_no_memory():
    """P(length > n) = (1 - 1 / mean)^n, so at mean 5 the probability of more than 3 tokens is 0.8^3."""
    found = lengths("geometric 5")
    assert (min(found), abs(statistics.mean(found) - 5) < 0.3) == (1, True)
    assert abs(sum(each > 3 for each in found) / len(found) - 0.8**3) < 0.03
    longer = [each - 3 for each in found if each > 3]
    assert abs(statistics.mean(longer) - 5) < 0.4
    assert set(lengths("geometric 1", 50)) == {1}


def shared_vocabulary(toy, *texts):
    async def find():
        async with ModelServer(toy.url, "lab-instruct") as instruct, ModelServer(toy.url, "lab-base") as base:
            return await find_shared_vocabulary(("instruct", instruct), ("base", base), texts)

    return asyncio.run(find())


def test_one_vocabulary_needs_no_translation(toy):
    found = shared_vocabulary(toy)
    assert found == SharedVocabulary({"instruct": {}, "base": {}})
    assert found.translate([104, 105], "base") == [104, 105]


def test_an_id_with_different_texts_reaches_the_other_model_as_the_ids_of_its_text(toy):
    """The instruct model has <think> and </think> where the base model has other tokens, as DeepSeek-R1's distilled
    Llama."""
    toy.special = {
        "lab-instruct": {300: "<think>", 301: "</think>"},
        "lab-base": {300: "<|reserved_9|>", 301: "<|reserved_10|>"},
    }
    found = shared_vocabulary(toy)
    assert found.translate([65, 300, 66, 301], "base") == [65, *b"<think>", 66, *b"</think>"]
    assert found.translate([300], "instruct") == list(b"<|reserved_9|>")


def test_models_that_give_a_text_different_ids_share_no_vocabulary(toy):
    toy.shift = {"lab-base": 1}
    assert shared_vocabulary(toy) is None


@pytest.mark.parametrize(
    ("path", "reply"), [("/tokenize", {"tokens": [], "count": 0}), ("/detokenize", {"prompt": ""}), ("/detokenize", {})]
)
def test_a_server_without_ids_or_texts_is_not_taken_to_share_a_vocabulary(toy, path, reply):
    toy.rewrite = lambda asked, body: reply if asked == path else body
    with pytest.raises(BadReply):
        shared_vocabulary(toy)


def test_a_server_with_a_text_for_every_id_ends_the_comparison(toy, monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST_IDS", 10_000)
    toy.rewrite = lambda path, body: {"prompt": "?"} if path == "/detokenize" else body
    assert shared_vocabulary(toy) == SharedVocabulary({"instruct": {}, "base": {}})


def test_the_prompts_can_show_that_only_one_tokenizer_splits_a_text(toy):
    toy.special = {"lab-instruct": {300: "def main"}}
    assert shared_vocabulary(toy) is not None
    assert shared_vocabulary(toy, "write def main first") is None
