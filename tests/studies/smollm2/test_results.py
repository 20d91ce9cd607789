"""The results file of the study: what it holds is read back, and a malformed one is one sentence."""

import json

import pytest
from study_results import results, run, whole

from hindsight.errors import UserError
from studies.smollm2.results import read_results, write_results


def test_results_are_written_with_a_line_per_run_and_read_back(tmp_path):
    path, written = tmp_path / "results.json", whole()
    write_results(path, written)
    assert read_results(path) == written
    lines = path.read_text().splitlines()
    assert len(lines) == 4 + len(written.runs) + 1
    assert json.loads(lines[4].rstrip(","))["name"] == written.runs[0].setting.name
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
        ({"ended": [0, 1, 2]}, "'ended' must have 4 counts, one per problem"),
        ({"vendi": [1, 1, 1, -1]}, "'vendi' must have 4 counts"),
        ({"kind": "merged"}, "is of an unknown kind"),
    ],
)
def test_a_malformed_run_is_named(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        results(run("full_0.4", **{"alpha": 0.4, **change}))


@pytest.mark.parametrize("text", ["{", "[]", '{"about": {}, "chosen": {}, "problems": {}, "runs": [3]}'])
def test_a_file_that_is_malformed_or_missing_is_one_sentence(tmp_path, text):
    path = tmp_path / "results.json"
    with pytest.raises(UserError, match=r"results\.json holds no results of the study"):
        read_results(path)
    path.write_text(text)
    with pytest.raises(UserError, match=r"results\.json holds no results of the study"):
        read_results(path)


def test_a_run_that_comes_twice_is_refused():
    one = run("full_0.4", alpha=0.4)
    with pytest.raises(ValueError, match=r"'full_0\.4', 0\) occurs twice"):
        results(one, one)
