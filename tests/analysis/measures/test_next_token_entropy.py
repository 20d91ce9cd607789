"""Next-token entropy: the definition by brute force, batches and slices, merges in memory, context and answer."""

import math
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pico
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scripts import ROOT
from tokenizers import Tokenizer, models, pre_tokenizers
from word_models import CHAT, PROBLEM, TEMPLATE, WORDS, make_checkpoints, make_tokenizer, plain_entropies

from analysis.measures import next_token_entropy
from analysis.measures.next_token_entropy import (
    OPENING,
    answer_entropies,
    context_and_answer,
    entropies_along,
    entropy,
    load_checkpoint,
)
from hindsight.errors import UserError

pytestmark = pytest.mark.slow  # together, with what they import, they take over ten seconds


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return make_checkpoints(tmp_path_factory.mktemp("models"))


# The definition


def test_entropy_is_log_v_for_equal_tokens_and_0_for_a_certain_one():
    assert float(entropy(torch.zeros(7))) == pytest.approx(math.log(7))
    assert float(entropy(torch.tensor([0.0, -math.inf, -math.inf]))) == 0
    assert float(entropy(torch.tensor([1.0, 1.0, -math.inf]) * 3)) == pytest.approx(math.log(2))
    quarter = torch.tensor([math.log(0.25), math.log(0.75)], dtype=torch.bfloat16)
    assert float(entropy(quarter)) == pytest.approx(0.5623, abs=2e-3)  # -(1/4 log 1/4 + 3/4 log 3/4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spread", [0.01, 1, 8])
def test_entropy_over_a_large_vocabulary_is_that_in_float64(dtype, spread):
    logits = (torch.randn(3, 2, 151_936, generator=torch.Generator().manual_seed(0)) * spread).to(dtype)
    logits[0, 0, 5] += 20
    shares = torch.softmax(logits.double(), -1)
    expected = -(shares * shares.clamp_min(1e-300).log()).sum(-1)
    assert entropy(logits).double().numpy() == pytest.approx(expected.numpy(), abs=2e-5)


@settings(deadline=None, max_examples=50)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(-50, 50, width=32)),
    st.integers(1, 9),
)
def test_entropy_lies_between_0_and_log_v_and_does_not_depend_on_rows_read_at_once(logits, rounded):
    found = entropy(torch.from_numpy(logits)).numpy()
    assert (found >= 0).all()
    assert (found <= math.log(logits.shape[1]) + 1e-5).all()
    before, next_token_entropy.FLOAT32_LOGITS = next_token_entropy.FLOAT32_LOGITS, rounded
    try:
        assert entropy(torch.from_numpy(logits)).numpy() == pytest.approx(found, abs=1e-6)
    finally:
        next_token_entropy.FLOAT32_LOGITS = before


# Batches and slices


@pytest.mark.parametrize(
    ("family", "logits"),  # gemma sees 8 tokens back; logits of one position, of five, of all at once
    [("gemma", 1), ("llama", 64 * 3 * 5), ("qwen2", 64 * 3 * 5), ("gemma", 64 * 3 * 5), ("gemma", 1 << 27)],
)
def test_padding_batches_and_slices_do_not_change_entropies(tmp_path, monkeypatch, family, logits):
    monkeypatch.setattr(next_token_entropy, "LOGITS", logits)
    more = {"sliding_window": 8} if family == "gemma" else {}
    folder = pico.make(tmp_path / "m", family, dtype=torch.float32, initializer_range=0.3, **more)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    chance = np.random.default_rng(0)
    pairs = [
        (chance.integers(0, 64, c).tolist(), chance.integers(0, 64, a).tolist())
        for c, a in ((3, 2), (1, 30), (20, 1), (2, 0), (12, 14))
    ]
    plain = [plain_entropies(model, *pair) for pair in pairs]
    for batch_tokens in (1, 70, 10_000):
        for found, expected in zip(answer_entropies(model, pairs, batch_tokens), plain, strict=True):
            assert (len(found), found) == (len(expected), pytest.approx(expected, abs=1e-5))


def test_logits_in_memory_never_exceed_the_limit(checkpoints, monkeypatch):
    monkeypatch.setattr(next_token_entropy, "LOGITS", len(WORDS) * 10)
    model, _ = load_checkpoint(checkpoints[0])
    sizes, batches = [], []
    model.get_output_embeddings().register_forward_hook(lambda module, given, logits: sizes.append(logits.numel()))
    answer_entropies(model, [([1], [2] * 20), ([1], [2] * 19), ([1], [2] * 5)], 42, batches.append)
    assert max(sizes) == len(WORDS) * 10
    assert batches == [0, 2, 1]  # of the first, which are padded to 2 * 21 tokens, and the rest


def test_reading_twice_gives_the_same_numbers(checkpoints):
    pairs = [([1, 2], [3, 4, 5]), ([1], [6] * 9)]
    one, other = (answer_entropies(load_checkpoint(checkpoints[1])[0], pairs) for _ in range(2))
    assert all(np.array_equal(*both) for both in zip(one, other, strict=True))


# Merged in memory


@pytest.mark.parametrize(
    ("family", "method", "alphas"),
    [("llama", "slerp", [0.3]), ("llama", "lerp", [0.3]), ("qwen2", "lerp", [0, 0.3, 1])],
)
def test_a_merge_in_memory_has_the_bits_of_the_merged_checkpoint(tmp_path, family, method, alphas):
    base, finetuned = pico.pair(tmp_path, family)
    make_tokenizer().save_pretrained(finetuned)
    for folder, alpha in zip(pico.merge_into(base, finetuned, tmp_path / "out", alphas, method), alphas, strict=True):
        require_same(load_checkpoint((base, finetuned, alpha, method))[0], load_checkpoint(folder)[0])


def test_a_longer_vocabulary_and_an_untied_head_are_merged_as_on_disk(tmp_path):
    base = pico.make(tmp_path / "base", "qwen2")
    finetuned = pico.make(tmp_path / "finetuned", "qwen2", 1, vocab_size=70, tie_word_embeddings=False)
    make_tokenizer().save_pretrained(finetuned)
    (folder,) = pico.merge_into(base, finetuned, tmp_path / "out", [0.4])
    require_same(load_checkpoint((base, finetuned, 0.4))[0], load_checkpoint(folder)[0])
    (tmp_path / "swapped").mkdir()
    (folder,) = pico.merge_into(finetuned, base, tmp_path / "swapped", [0.4])  # the merged head is base's own
    make_tokenizer().save_pretrained(base)
    make_tokenizer().save_pretrained(folder)
    require_same(load_checkpoint((finetuned, base, 0.4))[0], load_checkpoint(folder)[0])


def require_same(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert one.config.tie_word_embeddings == other.config.tie_word_embeddings


def test_models_that_threads_load_at_once_have_their_own_weights():
    """The lab's: their heads are tied, and such heads got random weights."""
    folders = [ROOT / "lab" / "models" / name for name in ("base", "instruct")]
    alone = [load_checkpoint(folder)[0] for folder in folders]
    with ThreadPoolExecutor(4) as pool:
        for number, (model, _) in enumerate(pool.map(load_checkpoint, folders * 4)):
            require_same(model, alone[number % 2])


def test_a_checkpoint_that_cannot_be_loaded_or_merged_ends_in_one_sentence(checkpoints, tmp_path):
    other = pico.make(tmp_path / "other", "qwen2")
    with pytest.raises(UserError, match="different architectures"):
        load_checkpoint((checkpoints[0], other, 0.5))
    with pytest.raises(UserError, match="there is no checkpoint folder"):
        load_checkpoint(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty cannot be loaded"):
        load_checkpoint(tmp_path / "empty")


# Context and answer


def test_the_context_is_the_prompt_of_the_answer():
    tokenizer = make_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    record = {"prompt": CHAT, "generated_text": "print ( a )", "metadata": PROBLEM}
    assert context_and_answer(record, tokenizer) == (ids(["user", "hello", "assistant"]), ids(["print", "(", "a", ")"]))
    opening = tokenizer.encode(OPENING)
    text = {"prompt": f"hello {OPENING}", "generated_text": f"{OPENING}world"}
    assert context_and_answer(text, tokenizer) == (ids(["hello"]) + opening, ids(["world"]))
    both = {"prompt": {"instruct": CHAT, "base": "a"}, "generated_text": f"{OPENING}world"}
    assert context_and_answer(both, tokenizer) == (ids(["user", "hello", "assistant"]) + opening, ids(["world"]))


def test_a_text_without_a_prompt_is_read_from_its_second_token():
    record = {"prompt": "", "generated_text": "a b c"}
    tokenizer = make_tokenizer()
    assert context_and_answer(record, tokenizer) == ([WORDS.index("a")], [WORDS.index("b"), WORDS.index("c")])


@pytest.mark.parametrize(("template", "transcript"), [(None, False), (TEMPLATE, True)])
def test_the_transcript_is_read_without_a_chat_template_or_on_request(template, transcript):
    tokenizer = make_tokenizer(template)
    record = {"prompt": CHAT, "generated_text": f"{OPENING}world", "metadata": PROBLEM}
    context, reply = context_and_answer(record, tokenizer, transcript)
    assert context[-len(tokenizer.encode(OPENING)) :] == tokenizer.encode(OPENING)
    assert reply == tokenizer.encode("world")
    with pytest.raises(UserError, match="an answer lacks `metadata`"):
        context_and_answer({"prompt": CHAT, "generated_text": "a"}, tokenizer, transcript)


def test_a_template_that_refuses_a_prompt_ends_in_one_sentence():
    tokenizer = make_tokenizer("{{ raise_exception('no system role') }}")
    with pytest.raises(UserError, match="rejects the prompt: no system role"):
        context_and_answer({"prompt": CHAT, "generated_text": "a"}, tokenizer)


def test_entropies_along_one_answer_cover_checkpoints_and_alphas(checkpoints, tmp_path):
    base, finetuned, merged = checkpoints
    record = {"prompt": CHAT, "generated_text": "print ( a )", "metadata": PROBLEM}
    sources = {"alpha 0": (base, finetuned, 0.0), "alpha 0.7": (base, finetuned, 0.7), "merged": merged, "1": finetuned}
    tokens, found = entropies_along(record, sources)
    assert tokens == ["print", "(", "a", ")"]
    assert list(found) == list(sources)
    model, tokenizer = load_checkpoint(finetuned)
    assert found["1"] == pytest.approx(plain_entropies(model, *context_and_answer(record, tokenizer)), abs=1e-4)
    assert np.array_equal(found["alpha 0.7"], found["merged"])
    assert not np.allclose(found["alpha 0"], found["1"], atol=1e-3)
    other = shutil.copytree(finetuned, tmp_path / "other")
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS[::-1])}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(other)
    with pytest.raises(UserError, match="2 splits the answer into tokens other than those of 1"):
        entropies_along(record, {"1": finetuned, "2": other})
