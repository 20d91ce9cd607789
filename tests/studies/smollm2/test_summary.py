"""The study's statistics, against values worked out by hand and the estimators of step 5."""

import pytest
from study_results import results, run, whole

from hindsight.pass_at_k.estimators import estimate_difference, estimate_mean
from studies.smollm2.choices import Study, list_missing
from studies.smollm2.summary import DISTINCT, ENTROPY, VENDI, Summary, pass_at


def test_pass_at_k_is_averaged_over_seeds_per_problem():
    """Of four answers, c are correct: with k = 2, C(4 - c, 2) / C(4, 2) is 1, 1/2, 1/6, 0 and 0 for c from 0 to 4."""
    summary = Summary(
        results(
            run("full_0.5", alpha=0.5, correct=(1, 1, 2, 4)), run("full_0.5", alpha=0.5, correct=(0, 2, 2, 4), seed=1)
        )
    )
    assert summary.ks == (1, 4)
    assert summary.estimate("full_0.5", pass_at(1)).mean == 0.5
    found = summary.estimate("full_0.5", pass_at(2))
    values = {14: (1 / 2 + 0) / 2, 11: (1 / 2 + 5 / 6) / 2, 12: 5 / 6, 13: 1.0}
    assert found.mean == pytest.approx(sum(values.values()) / 4)
    expected = estimate_mean(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.problems == 4
    assert summary.by_seed("full_0.5", pass_at(4)) == [1.0, 0.75]


def test_differences_are_paired_by_problem_and_the_start_model_by_every_seed():
    summary = Summary(
        results(
            run("start", "start", (0, 1, 2, 4)),
            run("full_0.5", alpha=0.5, correct=(1, 1, 2, 4)),
            run("full_0.5", alpha=0.5, correct=(0, 2, 2, 4), seed=1),
            run("full_0.6", alpha=0.6, correct=(4, 4, 4, 4), seed=1),
            run("full_0.7", alpha=0.7, seed=2),
        )
    )
    found = summary.difference("full_0.5", "start", pass_at(1))
    one, other = {14: 0.125, 11: 0.375, 12: 0.5, 13: 1.0}, {14: 0.0, 11: 0.25, 12: 0.5, 13: 1.0}
    expected = estimate_difference(one, other)
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))
    assert summary.differences_by_seed("full_0.5", "start", pass_at(4)) == [0.25, 0.0]
    assert summary.difference("full_0.6", "full_0.5", pass_at(1)).mean == 0.5, "on seed 1, which both have"
    assert summary.difference("full_0.7", "full_0.6", pass_at(1)) is None


def test_shares_are_ratios_of_counts_and_what_was_not_measured_is_left_out():
    counts = {"programs": (4, 0, 2, 4), "distinct": (4, 0, 1, 1), "vendi": (3.5, None, 1, 1.5)}
    unmeasured = {"nats": (None, 2.0, 1.0, None), "entropy_tokens": (None, 10, 20, None)}
    summary = Summary(
        results(run("start", "start", **counts, **unmeasured), run("full_0.4", alpha=0.4, nats=(None,) * 4))
    )
    assert summary.estimate("start", DISTINCT).mean == 0.6
    vendi, entropy = summary.estimate("start", VENDI), summary.estimate("start", ENTROPY)
    assert (vendi.mean, vendi.problems) == (2.0, 3)
    assert (entropy.mean, entropy.problems) == (0.1, 2)
    assert summary.estimate("full_0.4", ENTROPY) is None


def test_problems_with_too_few_samples_are_left_out_of_pass_at_k():
    few = {"programs": (4, 4, 3, 4), "ended": (4, 4, 3, 4)}
    study = Study(results(run("start", "start", (0, 1, 2, 4)), run("full_0.4", alpha=0.4, samples=(4, 4, 3, 4), **few)))
    found = study.test.estimate("full_0.4", pass_at(4))
    assert (found.mean, found.problems) == (pytest.approx(2 / 3), 3)
    assert "full_0.4, seed 0: 1 of 4 problems have fewer than 4 samples and no pass@4." in list_missing(study)


def test_the_order_of_the_problems_changes_nothing():
    straight = results(run("start", "start", (0, 1, 2, 4)), problems={"test": [11, 12, 13, 14]})
    turned = results(run("start", "start", (4, 2, 1, 0)), problems={"test": [14, 13, 12, 11]})
    assert Summary(straight).estimate("start", pass_at(1)) == Summary(turned).estimate("start", pass_at(1))


def test_the_best_alpha_and_how_sure_it_is():
    """Of two problems, alpha 0.3 is better on one (1 and 0, to 3/4 twice): best only where this is drawn twice, 1/4."""
    runs = [run("full_0.3", alpha=0.3, correct=(4, 0)), run("full_0.6", alpha=0.6, correct=(3, 3))]
    summary = Summary(results(*runs, problems={"test": [11, 12]}))
    best = summary.best_alpha(summary.curve("full"), pass_at(1))
    assert (best.alpha, best.low, best.high) == (0.6, 0.3, 0.6)
    assert best.share == pytest.approx(0.75, abs=0.03)
    sure = Summary(results(run("full_0.3", alpha=0.3, correct=(4, 3)), runs[1], problems={"test": [11, 12]}))
    best = sure.best_alpha(sure.curve("full"), pass_at(1))
    assert (best.alpha, best.low, best.high, best.share) == (0.3, 0.3, 0.3, pytest.approx(1))


def test_a_curve_has_both_parents_as_ends_and_the_same_seeds_at_each_alpha():
    runs = [run("start", "start"), run("shots", "start", prompt="shots"), run("full_T1", "finetuned", temperature=1)]
    runs += [run("full_T0.7", "finetuned", seed=seed) for seed in (0, 1)]
    runs += [run(f"full_{alpha}", alpha=alpha, seed=seed) for alpha in (0.2, 0.4) for seed in (0, 1)]
    summary = Summary(results(*runs))
    curve = summary.curve("full")
    assert curve.names == {0: "start", 0.2: "full_0.2", 0.4: "full_0.4", 1: "full_T0.7"} and curve.seeds == (0, 1)
    assert summary.curve("lora") is None
    study = Study(results(*runs, run("full_0.3", alpha=0.3), run("full_0.4", alpha=0.4, seed=2)))
    curve = study.test.curve("full")
    assert list(curve.names) == [0, 0.2, 0.4, 1] and curve.seeds == (0, 1), "eight runs; with 0.3, five"
    missing = list_missing(study)
    assert "Seed 1 of the full training lacks full_T1, full_0.3." in missing
    assert "The full curve is the mean over seeds 0, 1; it leaves out full_0.3." in missing
    assert "The full training has no merge at alpha 0.1, 0.5, 0.6, 0.7, 0.8, 0.9." in missing
    assert "There is no run of the LoRA training." in missing and "There is no switching run." in missing


def test_parents_are_those_chosen_on_validation_and_else_the_best_there_or_on_the_test():
    study = Study(whole())
    assert (study.start.name, study.start.how) == ("start_shots_T0.5", "chosen on validation")
    assert study.finetuned["full"].name == "full_T1"
    assert study.finetuned["lora"].name == "lora_T1" and "on the test itself" in study.finetuned["lora"].how
    runs = [run("a", "start"), run("b", "start", (0, 0, 0, 1), temperature=1)]
    validated = [run("a", "start", (0, 1), split="validation")]
    validated += [run("b", "start", (1, 1), split="validation", temperature=1)]
    study = Study(results(*runs, *validated))
    assert (study.start.name, study.start.how) == ("b", "highest pass@4 on validation")
    assert Study(results(run("full_0.3", alpha=0.3))).start is None


def test_the_alpha_is_chosen_on_validation():
    study = Study(whole())
    assert (
        study.chosen_alpha("full", pass_at(1)) == 0.3
        and study.test.best_alpha(study.test.curve("full"), pass_at(1)).alpha == 0.6
    )
    assert study.chosen_alpha("lora", pass_at(1)) is None


def test_a_validation_with_fewer_samples_chooses_by_its_own_pass_at_k():
    two = {"samples": (2, 2), "programs": (2, 2), "ended": (2, 2), "split": "validation"}
    runs = [run("full_0.3", alpha=0.3), run("full_0.6", alpha=0.6)]
    runs += [run("full_0.3", alpha=0.3, correct=(2, 0), **two), run("full_0.6", alpha=0.6, correct=(1, 1), **two)]
    assert Study(results(*runs)).chosen_alpha("full", pass_at(4)) == 0.6, "pass@2 is 1 on both, against 1 and 0"
