"""The study's plan: which fine-tunings and runs there are, what is chosen, and how each run is sampled."""

import json
from pathlib import Path

import pytest
from scripts import ROOT

from hindsight.errors import UserError
from hindsight.settings import read_settings
from studies.smollm2 import study
from studies.smollm2.grid import Grid, Strength, best, mean_pass_at
from studies.smollm2.plan import StudyOptions, early_setting, finetuned_setting, merge_setting
from studies.smollm2.problems import spread
from studies.smollm2.work import Work, group_runs

SCRIPT = {**vars(study), "__file__": study.__file__}
PROBLEMS = {"training": 247, "validation": 2, "test": 3, "examples": 3}


def make_work(folder, *flags):
    settings = read_settings(SCRIPT, list(flags))
    options = settings.pick(StudyOptions, output=folder, start="start")
    return Work(options, settings.pick(Grid), PROBLEMS, "llamafactory-cli", 0, 600)


def write_counts(run, correct):
    path = ROOT / run.measured
    path.parent.mkdir(parents=True)
    samples = [run.options.samples] * run.problem_count
    path.write_text(json.dumps({"made_by": run.made_by, "counts": {"samples": samples, "correct": correct}}))


def test_merges_are_made_of_the_strength_and_the_parents_asked_at_the_temperature_that_are_chosen_on_validation(
    tmp_path,
):
    work = make_work(
        tmp_path, "--trainings", "full", "--full_rates", "1e-5", "1e-4", "--epochs", "1", "2", "--shots", "false"
    )
    runs = work.strength_runs("full")
    names = [f"full_{rate}_epochs_{epochs}_T0.7" for epochs in (1, 2) for rate in ("1e-05", "0.0001")]
    assert [run.setting.name for run in runs] == names
    for run, correct in zip(runs, ([0, 1], [5, 0], [0, 5], [2, 2]), strict=True):  # pass@1 .05, .25, .25, .2
        write_counts(run, correct)
    work.choose_strength("full")
    assert work.strengths == {"full": Strength(1e-4, 1)}  # of equal ones the weaker

    for run in work.validation_runs("full"):
        many = run.setting.temperature == 1  # solves both problems once: the highest pass@10
        write_counts(run, [1, 1] if many else [9, 0])
    work.choose_temperatures("full")
    assert {name: setting.name for name, setting in work.chosen.items()} == {
        "start_chat": "start_chat_T1",
        "start": "start_chat_T1",
        "full": "full_T1",
    }

    first, second = work.test_runs("full", 0), work.test_runs("full", 1)
    assert {run.setting.name for run in first if run.seed is None} == {"start_chat_T0.4", "start_chat_T1"}
    merges = {run.setting.alpha for run in first if run.setting.kind == "merge"}
    assert merges == {number / 10 for number in range(1, 10)}
    assert {run.setting.alpha for run in second if run.setting.kind == "merge"} == {0.2, 0.4, 0.6, 0.8}
    assert {run.checkpoint for run in second} == {tmp_path / "models" / "full_0.0001_seed_1" / "epochs_1"}
    early = [run.checkpoint for run in first if run.setting.kind == "early"]
    assert early == [tmp_path / "models" / "full_0.0001_seed_0" / "epochs_0.5"]
    assert {run.setting.name for run in second if run.setting.kind == "finetuned"} == {"full_T0.4", "full_T1"}


def test_a_choice_of_one_is_not_measured(tmp_path):
    flags = ["--full_rates", "1e-4", "--epochs", "1", "--start_temperatures", ".7", "--finetuned_temperatures", ".7"]
    work = make_work(tmp_path, *flags, "--validation_alphas", "--shots", "false")
    assert work.strength_runs("full") == work.validation_runs("full") == []
    work.choose_strength("full")
    work.choose_temperatures("full")
    assert work.strength("full") == Strength(1e-4, 1)
    assert work.parents("full")["full"] == finetuned_setting("full", 0.7)


def test_runs_of_one_dial_share_a_server_and_record_their_parents(tmp_path):
    runs = {run.setting.name: run for run in make_work(tmp_path).test_runs("full", 0)}
    low, high, early = runs["full_0.2"], runs["full_0.9"], runs["full_0.0001_epochs_0.5_T0.4"]
    assert low.served == high.served != early.served
    (served,) = low.served_models()
    assert served.options.merge == {"base": "start", "alpha": 0.2, "method": "lerp"}
    flags = " ".join(high.sampling_run().flags)
    assert f"--merged_from start {high.checkpoint} 0.9" in flags and "--prompt_style evalplus" in flags
    assert (low.sampling_run().alpha, early.sampling_run().alpha) == (0.2, 1.0)
    shots = runs["start_shots_T0.4"].sampling_run()
    assert "--model base --base_model start --examples" in " ".join(shots.flags)
    switching = runs["full_switching_10_10"]
    assert [model.name for model in switching.served_models()] == ["start", "finetuned"]


def test_training_seeds_are_sampled_with_seeds_of_their_own(tmp_path):
    first, second = (make_work(tmp_path).test_runs("full", seed)[-1].sampling_run().flags for seed in (0, 2))
    assert "--seed" not in first and second[second.index("--seed") + 1] == "2"


def test_a_pair_that_exists_is_asked_in_chat_by_its_own_template(tmp_path):
    work = make_work(tmp_path, "--finetuned", "tuned", "--seeds", "0")
    assert work.all_trainings() == [] and work.strength_runs("full") == []
    runs = {run.setting.name: run for run in work.test_runs("full", 0)}
    assert runs["start_chat_T0.4"].checkpoint == Path("tuned") and runs["start_chat_T0.4"].alpha == 0
    assert runs["start_shots_T0.4"].checkpoint is None
    assert not any(run.setting.kind == "early" for run in runs.values())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--trainings", "half"], "TRAININGS are full and lora"),
        (["--epochs", "0.3"], "halves of an epoch"),
        (["--full_alphas", "0", "0.5"], "lie between 0 and 1"),
        (["--finetuned", "tuned", "--seeds", "0", "1"], "0 to 0"),
        (["--turns", "10"], "two numbers"),
    ],
)
def test_a_bad_grid_is_one_sentence(tmp_path, flags, words):
    with pytest.raises(UserError, match=words):
        make_work(tmp_path, *flags)


def test_pass_at_k_and_the_best_setting():
    settings = [merge_setting("full", 0.2, 0.4), early_setting("full", 1e-4, 1, 0.4)]
    counts = [{"samples": [2, 2], "correct": [1, 0]}, {"samples": [2, 2], "correct": [2, 0]}]
    assert [mean_pass_at(each, 1) for each in counts] == [0.25, 0.5]
    assert [mean_pass_at(each, 10) for each in counts] == [0.5, 0.5]  # of two samples
    assert best(zip(settings, counts, strict=True), 1) is settings[1]
    assert best(zip(settings, counts, strict=True), 2) is settings[0]


def test_rows_are_evenly_spread():
    assert spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert spread([1, 2], 0) == spread([1, 2], 5) == [1, 2]


def test_a_long_dial_is_divided_among_servers(tmp_path):
    work = make_work(tmp_path)
    groups = group_runs(work.test_runs("full", 0), lanes=2)
    assert [len(group) for group in groups] == [1, 2, 4, 3, 3, 1]  # switching; start model; ten alphas; early
    assert all(len({run.served for run in group}) == 1 for group in groups)
    assert [len(group) for group in group_runs(work.test_runs("full", 1), lanes=2)] == [3, 2]


def test_answers_made_with_other_settings_are_refused_not_reused(tmp_path):
    run = make_work(tmp_path).test_runs("full", 0)[0]
    write_counts(run, [0, 0, 0])
    assert run.is_measured()
    assert make_work(tmp_path, "--concurrency", "7").test_runs("full", 0)[0].is_measured()
    assert not make_work(tmp_path, "--samples", "20").test_runs("full", 0)[0].is_measured()
    for flags in (["--max_tokens", "99"], ["--dtype", "float32"], ["--top_p", "0.5"]):
        with pytest.raises(UserError, match="other settings"):
            make_work(tmp_path, *flags).test_runs("full", 0)[0].is_measured()
