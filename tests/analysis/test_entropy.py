"""analysis/entropy.py as a user runs it, on pico models."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scripts import run_in_process, run_script
from word_models import CHAT, PROBLEM, make_checkpoints, plain_entropies

from analysis import entropy
from analysis.entropy import Reader, Reading, identity
from analysis.measures.next_token_entropy import load_checkpoint
from hindsight.files.records import write_json


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return make_checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def run(tmp_path):
    """A run folder with three complete answers to two problems and one truncated file."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in {"1_sample_0": "a b c", "1_sample_1": "print ( a ) " * 100, "2_sample_0": "world"}.items():
        write_json(folder / f"question_{name}.json", {"prompt": CHAT, "generated_text": text, "metadata": PROBLEM})
    (folder / "question_2_sample_1.json").write_text("{")
    return folder


@pytest.fixture
def measure(tmp_path, checkpoints):
    """Runs the script in this process or its own; returns its result and what it wrote."""

    def call(*flags):
        more = ("--base_model", checkpoints[0], "--finetuned_model", checkpoints[1], "--device", "cpu")
        flags = (*more, "--output", tmp_path / "out" / "e", *flags)
        result = run_in_process(entropy, *flags)
        path = tmp_path / "out" / "e.json"
        return result, json.loads(path.read_text()) if path.exists() else None

    return call


@pytest.mark.slow
def test_the_script_writes_means_by_alpha_and_resumes_with_missing_checkpoints(run, measure, checkpoints, tmp_path):
    base, finetuned, merged = checkpoints
    result, first = measure("--input_dir", run, "--alphas", 0, 0.7, "--formats")
    assert result.returncode == 1, result.stderr
    assert "question_2_sample_1.json is not valid JSON" in result.stdout
    more = ("--alphas", 0, 0.7, 1, "--checkpoints", merged, base, "--base_checkpoints", finetuned)
    result, found = measure("--input_dir", run, *more)
    assert "e.json has alpha 0, alpha 0.7 already" in result.stdout
    by_label = {each["label"]: each for each in found["checkpoints"]}
    assert list(by_label) == ["alpha 0", "alpha 0.7", "alpha 1", "alpha_0.7", "base", "finetuned, transcript"]
    assert found["checkpoints"][:2] == first["checkpoints"]
    model, tokenizer = load_checkpoint(finetuned)
    texts = ["a b c", "print ( a ) " * 100, "world"]
    pairs = [
        (tokenizer.encode("user hello assistant"), tokenizer.encode(text)[:297]) for text in texts
    ]  # cut to 300 tokens
    expected = np.concatenate([plain_entropies(model, *pair) for pair in pairs]).mean()
    assert by_label["alpha 1"]["mean"] == pytest.approx(expected, abs=1e-4)
    assert (by_label["alpha 1"]["tokens"], by_label["alpha 1"]["cut_answers"]) == (3 + 297 + 1, 1)
    assert by_label["alpha_0.7"]["alpha"] == 0.7
    assert by_label["alpha_0.7"]["mean"] == by_label["alpha 0.7"]["mean"]
    assert by_label["base"]["mean"] != by_label["alpha 0"]["mean"]  # without a template, it reads the transcript
    assert [(each["one"], each["other"]) for each in found["differences"]] == [
        ("alpha 0.7", "alpha 0"),
        ("alpha 1", "alpha 0.7"),
        ("alpha 1", "alpha 0"),
    ]
    assert found["differences"][2]["mean"] == pytest.approx(by_label["alpha 1"]["mean"] - by_label["alpha 0"]["mean"])
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".pdf", ".png"}


@pytest.mark.slow
def test_other_texts_settings_or_weights_are_another_reading(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints[1], tmp_path / "model")
    same = Reading(max_tokens=0, batch_tokens=64, bin=10, device="")
    answers = [{"prompt": "a", "generated_text": "b"}]
    reader = Reader("alpha 0.5", (str(checkpoints[0]), str(folder), 0.5, "lerp"), 0.5)
    first = identity(reader, answers, same)
    assert identity(reader, [{**answers[0], "metadata": {}}], same) == first
    assert identity(reader, [{"prompt": "a", "generated_text": "c"}], same) != first
    assert identity(reader, answers, replace(same, max_tokens=5)) != first
    assert identity(replace(reader, source=(*reader.source[:2], 0.6, "lerp")), answers, same) != first
    with (folder / "model-00001-of-00002.safetensors").open("ab") as file:
        file.write(b"x")
    assert identity(reader, answers, same) != first


@pytest.mark.slow
def test_each_line_of_a_file_counts_as_a_problem_and_broken_lines_are_reported(measure, checkpoints, tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = [{"prompt": CHAT, "generated_text": "a b"}, {"prompt": "", "generated_text": "a b c"}, {"prompt": "a"}]
    lines += [{"prompt": prompt, "generated_text": "a"} for prompt in (5, [], ["a"])]
    lines += [{"prompt": "a", "generated_text": "\ud800"}, {"prompt": "a", "generated_text": "a", "question_id": []}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{\n")
    result, found = measure("--input_dir", path, "--alphas", "--checkpoints", checkpoints[1], "--formats", "svg")
    assert result.returncode == 1, result.stderr
    for sentence in (
        "line 3 is not an object with prompt and generated_text",
        *(f"line {number}: expected prompt as text or messages" for number in (4, 5, 6)),
        "line 7: its text has half of a surrogate pair",
        "line 8: question_id is a number or a text",
        "line 9 is not JSON",
    ):
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
        (("--output", ""), "OUTPUT is a path for files, not ''"),
        (("--alphas", "1", "--device", "nowhere"), "cannot be loaded: Expected one of cpu, cuda"),
        (("--batch_tokens", "0"), "BATCH_TOKENS and BIN are at least 1"),
        (("--max_answers", "-1"), "at least 0"),
    ],
)
def test_bad_input_ends_in_one_sentence(run, measure, flags, sentence):
    result, _ = measure("--input_dir", run, *flags)
    assert (result.returncode, sentence in result.stderr) == (2, True), result.stderr
    assert "Traceback" not in result.stderr


def test_the_script_starts_as_a_user_starts_it(run):
    """To its first sentence: with PyTorch and transformers it would take ten seconds more."""
    result = run_script("analysis/entropy.py", "--input_dir", run, "--alphas")
    assert (result.returncode, "entropy.py: give at least one of --alphas" in result.stderr) == (2, True), result.stderr


def test_a_file_of_another_script_is_not_overwritten(run, measure, tmp_path):
    write_json(tmp_path / "out.json", {"ks": [1]})
    result, _ = measure("--input_dir", run, "--alphas", 1, "--output", tmp_path / "out")
    assert (result.returncode, "this script did not write it" in result.stderr) == (2, True)
    assert json.loads((tmp_path / "out.json").read_text()) == {"ks": [1]}
