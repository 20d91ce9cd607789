"""Next-token entropy: the definition by brute force, merges in memory, batches and slices, intervals, the script."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pico
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scripts import run_script
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from analysis import entropy_summary, next_token
from analysis.entropy import Reader, identity
from analysis.entropy_summary import by_problem, difference, mean_by_position, mean_of, summarise
from analysis.next_token import OPENING, answer_entropies, context_and_answer, entropies_along, entropy, load_checkpoint
from hindsight.checkpoint_merge import merge_checkpoints
from hindsight.estimator import bootstrap_interval, bootstrap_ratio_interval
from hindsight.records import write_json
from hindsight.settings import Settings, UserError

PROBLEM = {"question": "?", "input_output": "{}", "starter_code": "", "fn_name": None}
WORDS = ["<unk>", "hello", "world", "print", "(", ")", "a", "b", "c", "#", "user", "assistant", "system"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant "
CHAT = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Models this small only wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_tokenizer(template=TEMPLATE):
    """A tokenizer of words."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", chat_template=template)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """(base, fine-tuned): two Llamas, the base without a chat template, and the two merged on disk at 0.7."""
    folder = tmp_path_factory.mktemp("models")
    sizes = {"vocab_size": len(WORDS), "max_position_embeddings": 300, "initializer_range": 0.5}
    base, finetuned = pico.pair(folder, **sizes)
    make_tokenizer(None).save_pretrained(base)
    make_tokenizer().save_pretrained(finetuned)
    (merged,) = merge_checkpoints(base, finetuned, folder / "merged", [0.7])
    return base, finetuned, merged


def plain_entropies(model, context, reply):
    """The entropy before each token of the reply, one token at a time, in float64, by the definition."""
    found = []
    for place in range(len(reply)):
        with torch.no_grad():
            logits = model(torch.tensor([context + reply[:place]])).logits[0, -1].double()
        shares = torch.exp(logits) / torch.exp(logits).sum()
        found.append(float(-(shares * shares.log()).sum()))
    return found


# The definition


def test_entropy_of_alike_tokens_is_log_v_and_of_a_certain_one_0():
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
@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)),
                     elements=st.floats(-50, 50, width=32)), st.integers(1, 9))
def test_entropy_lies_between_0_and_log_v_and_does_not_depend_on_rows_read_at_once(logits, rounded):
    found = entropy(torch.from_numpy(logits)).numpy()
    assert (found >= 0).all()
    assert (found <= math.log(logits.shape[1]) + 1e-5).all()
    before, next_token.ROUNDED = next_token.ROUNDED, rounded
    try:
        assert entropy(torch.from_numpy(logits)).numpy() == pytest.approx(found, abs=1e-6)
    finally:
        next_token.ROUNDED = before


# Batches and slices


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma"])  # gemma sees 8 tokens back
@pytest.mark.parametrize("logits", [1, 64 * 3 * 5, 1 << 27])  # a position, five, all at once
def test_padding_batches_and_slices_have_no_influence(tmp_path, monkeypatch, family, logits):
    monkeypatch.setattr(next_token, "LOGITS", logits)
    more = {"sliding_window": 8} if family == "gemma" else {}
    folder = pico.make(tmp_path / "m", family, dtype=torch.float32, initializer_range=0.3, **more)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    chance = np.random.default_rng(0)
    pairs = [(chance.integers(0, 64, c).tolist(), chance.integers(0, 64, a).tolist())
             for c, a in ((3, 2), (1, 30), (20, 1), (2, 0), (12, 14))]
    plain = [plain_entropies(model, *pair) for pair in pairs]
    for batch_tokens in (1, 70, 10_000):
        for found, expected in zip(answer_entropies(model, pairs, batch_tokens), plain, strict=True):
            assert (len(found), found) == (len(expected), pytest.approx(expected, abs=1e-5))


def test_there_are_never_more_logits_than_said(checkpoints, monkeypatch):
    monkeypatch.setattr(next_token, "LOGITS", len(WORDS) * 10)
    model, _ = load_checkpoint(checkpoints[0])
    sizes, batches = [], []
    model.get_output_embeddings().register_forward_hook(lambda module, given, logits: sizes.append(logits.numel()))
    answer_entropies(model, [([1], [2] * 20), ([1], [2] * 19), ([1], [2] * 5)], 42, batches.append)
    assert max(sizes) == len(WORDS) * 10
    assert batches == [0, 2, 1]  # of the first, which are padded to 2 * 21 tokens, and the rest


def test_the_same_numbers_twice(checkpoints):
    pairs = [([1, 2], [3, 4, 5]), ([1], [6] * 9)]
    one, other = (answer_entropies(load_checkpoint(checkpoints[1])[0], pairs) for _ in range(2))
    assert all(np.array_equal(*both) for both in zip(one, other, strict=True))


# Merged in memory


@pytest.mark.parametrize(("family", "method"), [("llama", "lerp"), ("llama", "slerp"), ("qwen2", "lerp")])
def test_a_merge_in_memory_has_the_bits_of_the_merged_checkpoint(tmp_path, family, method):
    base, finetuned = pico.pair(tmp_path, family)
    make_tokenizer().save_pretrained(finetuned)
    for folder, alpha in zip(merge_checkpoints(base, finetuned, tmp_path / "out", [0, 0.3, 1], method), (0, 0.3, 1),
                             strict=True):
        require_same(load_checkpoint((base, finetuned, alpha, method))[0], load_checkpoint(folder)[0])


def test_a_longer_vocabulary_and_an_untied_head_are_merged_as_on_disk(tmp_path):
    base = pico.make(tmp_path / "base", "qwen2")
    finetuned = pico.make(tmp_path / "finetuned", "qwen2", 1, vocab_size=70, tie_word_embeddings=False)
    make_tokenizer().save_pretrained(finetuned)
    (folder,) = merge_checkpoints(base, finetuned, tmp_path / "out", [0.4])
    require_same(load_checkpoint((base, finetuned, 0.4))[0], load_checkpoint(folder)[0])
    (tmp_path / "swapped").mkdir()
    (folder,) = merge_checkpoints(finetuned, base, tmp_path / "swapped", [0.4])  # the merged head is base's own
    make_tokenizer().save_pretrained(base)
    make_tokenizer().save_pretrained(folder)
    require_same(load_checkpoint((finetuned, base, 0.4))[0], load_checkpoint(folder)[0])


def require_same(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert one.config.tie_word_embeddings == other.config.tie_word_embeddings


def test_a_checkpoint_that_cannot_be_loaded_or_merged_is_one_sentence(checkpoints, tmp_path):
    other = pico.make(tmp_path / "other", "qwen2")
    with pytest.raises(UserError, match="other architectures"):
        load_checkpoint((checkpoints[0], other, 0.5))
    with pytest.raises(UserError, match="there is no checkpoint folder"):
        load_checkpoint(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty cannot be loaded"):
        load_checkpoint(tmp_path / "empty")


# Context and answer


def test_the_context_is_the_prompt_that_the_answer_was_made_with():
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
def test_without_a_chat_template_or_where_it_is_asked_for_the_transcript_is_read(template, transcript):
    tokenizer = make_tokenizer(template)
    record = {"prompt": CHAT, "generated_text": f"{OPENING}world", "metadata": PROBLEM}
    context, reply = context_and_answer(record, tokenizer, transcript)
    assert context[-len(tokenizer.encode(OPENING)) :] == tokenizer.encode(OPENING)
    assert reply == tokenizer.encode("world")
    with pytest.raises(UserError, match="`metadata`, which an answer lacks"):
        context_and_answer({"prompt": CHAT, "generated_text": "a"}, tokenizer, transcript)


def test_a_template_that_refuses_a_prompt_is_one_sentence():
    tokenizer = make_tokenizer("{{ raise_exception('no system role') }}")
    with pytest.raises(UserError, match="does not take the prompt: no system role"):
        context_and_answer({"prompt": CHAT, "generated_text": "a"}, tokenizer)


def test_along_one_answer_there_are_tokens_and_the_entropies_of_checkpoints_and_alphas(checkpoints, tmp_path):
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
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(other)
    with pytest.raises(UserError, match="2 has other tokens for the answer than 1"):
        entropies_along(record, {"1": finetuned, "2": other})


# Means and intervals


def test_the_mean_is_over_tokens_and_that_of_answers_over_answers():
    answers = [{"question_id": question, "sample_index": 0} for question in (7, 7, 8, 9)]
    entropies = [np.array([1.0, 2.0]), np.array([6.0]), np.array([4.0, 4.0, 4.0]), np.array([])]
    found = summarise("x", answers, entropies, 2)
    assert found["mean"] == pytest.approx(21 / 6)
    assert found["mean_of_answers"]["mean"] == pytest.approx((1.5 + 6 + 4) / 3)
    assert (found["tokens"], found["answers"], found["problems"]) == (6, 3, 2)
    assert found["by_answer"] == [[7, 0, 2, 1.5], [7, 0, 1, 6.0], [8, 0, 3, 4.0]]
    assert found["low"] == pytest.approx(3)  # problem 7 drawn twice: 9 / 3
    assert found["high"] == pytest.approx(4)
    with pytest.raises(UserError, match="no answer has a token"):
        summarise("x", answers, [np.array([])] * 4, 2)
    with pytest.raises(UserError, match="logits that are no numbers"):
        summarise("x", answers[:1], [np.array([math.nan])], 2)


def test_by_position_it_ends_where_too_few_problems_reach(monkeypatch):
    entropies, problems = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0]), np.array([5.0])], ["p", "q", "p"]
    monkeypatch.setattr(entropy_summary, "FEWEST", 1)
    first, second = mean_by_position(entropies, problems, 2)
    assert (first["start"], first["mean"], first["answers"]) == (0, 11 / 4, 3)
    assert second == {"start": 2, "mean": 3.5, "low": 3.5, "high": 3.5, "answers": 1}
    monkeypatch.setattr(entropy_summary, "FEWEST", 5)  # of two problems both must reach
    assert len(mean_by_position(entropies, problems, 2)) == 1


def test_a_difference_is_paired_by_tokens():
    one, other = ({"label": label, "by_answer": [[1, 0, 2, 3.0 + step], [2, 0, 4, 5.0 + step]]}
                  for label, step in (("one", 0.25), ("other", 0.0)))
    found = difference(one, other)
    assert found == {"one": "one", "other": "other", "mean": 0.25, "low": 0.25, "high": 0.25}


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.floats(0, 9)),
       st.integers(1, 40))
def test_with_as_many_tokens_a_problem_the_interval_is_that_of_the_mean_over_problems(values, count):
    ratio = bootstrap_ratio_interval(values * count, np.full((len(values), 1), count), 200)
    assert np.allclose(ratio, bootstrap_interval(values, 200))


def test_the_interval_of_a_ratio_holds_the_truth_about_as_often_as_it_says():
    """60 problems with 1 to 30 tokens whose entropy rises with their number; mean over tokens by the moments."""
    chance, held = np.random.default_rng(5), 0
    for _ in range(400):
        counts = chance.integers(1, 31, (60, 1)).astype(float)
        sums = counts * (0.02 * counts + chance.normal(0, 0.1, (60, 1)))
        low, high = bootstrap_ratio_interval(sums, counts, 500)
        held += bool(low <= 0.02 * (31 * 61 / 6) / 15.5 <= high)  # E[n^2] / E[n], n uniform on 1 to 30
    assert 0.91 <= held / 400 <= 0.98


def test_sums_are_by_problem_and_problems_without_tokens_count_not():
    assert by_problem(["b", "a", "b"], [1, 2, 3]).tolist() == [4, 2]
    found = mean_of(np.array([4.0, 0.0]), np.array([2.0, 0.0]))
    assert found == {"mean": 2, "low": 2, "high": 2}


# The script


@pytest.fixture
def run(tmp_path):
    """A run folder of three whole answers to two problems, and one that is not whole."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in {"1_sample_0": "a b c", "1_sample_1": "print ( a ) " * 100, "2_sample_0": "world"}.items():
        write_json(folder / f"question_{name}.json", {"prompt": CHAT, "generated_text": text, "metadata": PROBLEM})
    (folder / "question_2_sample_1.json").write_text("{")
    return folder


@pytest.fixture
def measure(tmp_path, checkpoints):
    """Runs the script; returns its result and what it wrote."""

    def call(*flags):
        pair = ("--base_model", checkpoints[0], "--finetuned_model", checkpoints[1])
        result = run_script("analysis/entropy.py", *pair, "--output", tmp_path / "out" / "e", "--device", "cpu", *flags)
        path = tmp_path / "out" / "e.json"
        return result, json.loads(path.read_text()) if path.exists() else None

    return call


def test_the_script_writes_means_by_alpha_and_goes_on_with_what_is_not_there(run, measure, checkpoints, tmp_path):
    base, finetuned, merged = checkpoints
    result, first = measure("--input_dir", run, "--alphas", 0, 0.7)
    assert result.returncode == 1, result.stderr
    assert "question_2_sample_1.json is not whole JSON" in result.stdout
    more = ("--alphas", 0, 0.7, 1, "--checkpoints", merged, base, "--base_checkpoints", finetuned)
    result, found = measure("--input_dir", run, *more)
    assert "e.json has alpha 0, alpha 0.7 already" in result.stdout
    by_label = {each["label"]: each for each in found["checkpoints"]}
    assert list(by_label) == ["alpha 0", "alpha 0.7", "alpha 1", "alpha_0.7", "base", "finetuned, transcript"]
    assert found["checkpoints"][:2] == first["checkpoints"]
    model, tokenizer = load_checkpoint(finetuned)
    texts = ["a b c", "print ( a ) " * 100, "world"]
    pairs = [(tokenizer.encode("user hello assistant"), tokenizer.encode(text)[:297]) for text in texts]  # 300 at most
    expected = np.concatenate([plain_entropies(model, *pair) for pair in pairs]).mean()
    assert by_label["alpha 1"]["mean"] == pytest.approx(expected, abs=1e-4)
    assert (by_label["alpha 1"]["tokens"], by_label["alpha 1"]["cut_answers"]) == (3 + 297 + 1, 1)
    assert by_label["alpha_0.7"]["alpha"] == 0.7
    assert by_label["alpha_0.7"]["mean"] == by_label["alpha 0.7"]["mean"]
    assert by_label["base"]["mean"] != by_label["alpha 0"]["mean"]  # has no template, so it reads the transcript
    assert [(each["one"], each["other"]) for each in found["differences"]] == [
        ("alpha 0.7", "alpha 0"), ("alpha 1", "alpha 0.7"), ("alpha 1", "alpha 0"),
    ]
    assert found["differences"][2]["mean"] == pytest.approx(by_label["alpha 1"]["mean"] - by_label["alpha 0"]["mean"])
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".pdf", ".png"}


def test_other_texts_settings_or_weights_are_another_reading(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints[1], tmp_path / "model")
    same = {"max_tokens": 0, "batch_tokens": 64, "bin": 10, "device": ""}
    answers = [{"prompt": "a", "generated_text": "b"}]
    reader = Reader("alpha 0.5", (str(checkpoints[0]), str(folder), 0.5, "lerp"), 0.5)
    first = identity(reader, answers, Settings(same))
    assert identity(reader, [{**answers[0], "metadata": {}}], Settings({**same, "seed": 1})) == first
    assert identity(reader, [{"prompt": "a", "generated_text": "c"}], Settings(same)) != first
    assert identity(reader, answers, Settings({**same, "max_tokens": 5})) != first
    assert identity(replace(reader, source=(*reader.source[:2], 0.6, "lerp")), answers, Settings(same)) != first
    with (folder / "model-00001-of-00002.safetensors").open("ab") as file:
        file.write(b"x")
    assert identity(reader, answers, Settings(same)) != first


def test_texts_of_a_file_are_read_each_a_problem_and_broken_lines_are_named(measure, checkpoints, tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = [{"prompt": CHAT, "generated_text": "a b"}, {"prompt": "", "generated_text": "a b c"}, {"prompt": "a"}]
    lines += [{"prompt": 5, "generated_text": "a"}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{\n")
    result, found = measure("--input_dir", path, "--alphas", "--checkpoints", checkpoints[1], "--formats", "svg")
    assert result.returncode == 1, result.stderr
    for sentence in ("line 3 is no object with prompt and generated_text", "line 4: prompt is text or messages",
                     "line 5 is not JSON"):
        assert sentence in result.stdout
    (summary,) = found["checkpoints"]
    assert (summary["tokens"], summary["problems"], found["read"]) == (4, 2, "2 answers of texts.jsonl to 2 problems")
    picture = (tmp_path / "out" / "e.svg").read_text()
    assert "position in the answer" in picture
    assert "alpha" not in picture  # no panel without alphas


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--input_dir", "no/such/folder"), "there is no folder"),
        (("--input_dir", "no/such/file.jsonl"), "there is no file"),
        (("--checkpoints", "no/such/model/folder"), "there is no checkpoint folder"),
        (("--alphas", "1.5"), "ALPHAS lie in [0, 1], not [1.5]"),
        (("--alphas",), "give at least one of --alphas, --checkpoints and --base_checkpoints"),
        (("--method", "mean"), "METHOD is lerp or slerp, not 'mean'"),
        (("--formats", "gif"), "FORMATS are pdf, png and svg, not gif"),
        (("--batch_tokens", "0"), "BATCH_TOKENS and BIN are at least 1"),
        (("--max_answers", "-1"), "at least 0"),
    ],
)
def test_bad_input_ends_in_one_sentence(run, measure, flags, sentence):
    result, _ = measure("--input_dir", run, *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
    assert "Traceback" not in result.stderr


def test_another_scripts_file_is_not_written_over(run, measure, tmp_path):
    write_json(tmp_path / "out.json", {"ks": [1]})
    result, _ = measure("--input_dir", run, "--alphas", 1, "--output", tmp_path / "out")
    assert (result.returncode, "it is not of this script" in result.stderr) == (2, True)
    assert json.loads((tmp_path / "out.json").read_text()) == {"ks": [1]}
