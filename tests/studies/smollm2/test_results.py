"""The results file of the study: what it holds is read back, and a malformed one is one sentence."""

import json

import pytest
from study_results import content, run, whole

from hindsight.errors import UserError
from studies.smollm2.results import make_results, read_results, write_results


def test_results_are_written_with_a_line_per_run_and_read_back(tmp_path):
    path, results = tmp_path / "results.json", whole()
    write_results(path, results)
    assert read_results(path) == results
    lines = path.read_text().splitlines()
    assert len(lines) == 4 + len(results.runs) + 1
    assert json.loads(lines[4].rstrip(","))["name"] == results.runs[0].setting.name
    before = path.read_bytes()
    write_results(path, read_results(path))
    assert path.read_bytes() == before


def test_settings_are_called_by_what_they_are():
    labels = {run.setting.name: run.setting.label for run in whole().runs}
    assert labels["start_shots_T0.5"] == "start model three-shot, T 0.5"
    assert labels["full_T1"] == "fine-tuned (full), T 1"
    assert labels["lora_0.3"] == "merged at 0.3 (LoRA)"
    assert labels["full_early_1"] == "stopped after 1 epoch (full), T 0.4"
    assert labels["lora_switching"] == "switching 10/10 (LoRA)"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"correct": [0, 1, 2, 5]}, "'correct' exceeds 'samples', 5 of 4"),
        ({"correct": [0, 1, 2, 4], "base_correct": [0, 1, 2, 3]}, "'correct' exceeds 'base_correct', 4 of 3"),
        ({"ended": [0, 1, 2]}, "'ended' must have 4 numbers, one per problem, not 3"),
        ({"samples": [4, 4, 4, None]}, "'samples' has something else than a count"),
        ({"vendi": [1, 1, 1, -1]}, "'vendi' has something else than a count"),
        ({"programs": [4, 4, True, 4]}, "'programs' has something else than a count"),
        ({"kind": "merged"}, "run 1 is of an unknown kind 'merged'"),
        ({"training": "half"}, "training 'half'"),
        ({"alpha": None}, "'alpha' must be a number, not None"),
        ({"seed": None}, "'seed' must be a number"),
        ({"prompt": "letter"}, "unknown prompt 'letter'"),
        ({"split": "training"}, "is of a split without problems"),
        ({"turns": ["10", "10"]}, "'turns' must be a list in switching, else null"),
        ({"seconds": 3}, "run 1 lacks, or should not have, seconds"),
    ],
)
def test_a_malformed_run_is_named(change, sentence):
    changed = run("full_0.4", **{"alpha": 0.4, **change})
    with pytest.raises(UserError, match=sentence):
        make_results(content(changed))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not whole JSON"),
        ('{"about": NaN}', "NaN is no number"),
        ("[]", "expected the keys about, chosen, problems, runs"),
        ('{"about": {}, "chosen": {}, "problems": {}, "runs": {}}', "'runs' has the wrong type"),
        ('{"about": {}, "chosen": {}, "problems": {"test": [1, 1]}, "runs": []}', "must be different question ids"),
        ('{"about": {}, "chosen": {}, "problems": {"test": 3}, "runs": []}', "must be a list of question ids"),
        ('{"about": {}, "chosen": {}, "problems": {"test": [1]}, "runs": [3]}', "run 1 is no object"),
        ('{"about": {}, "chosen": {"settings": 3}, "problems": {}, "runs": []}', "'settings' of 'chosen' must be"),
    ],
)
def test_a_malformed_file_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence) as error:
        read_results(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_a_run_that_comes_twice_and_a_name_of_two_settings_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_results(tmp_path / "results.json")
    one = run("full_0.4", alpha=0.4)
    with pytest.raises(UserError, match=r"test full_0\.4, seed 0, comes twice"):
        make_results(content(one, one))
    with pytest.raises(UserError, match=r"full_0\.4 has two settings"):
        make_results(content(one, {**one, "seed": 1, "alpha": 0.5}))
