"""Equal labels are told apart by what differs among their runs, and only by that."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hindsight.pass_at_k.labels import RunLabel, tell_apart


@pytest.fixture
def run(tmp_path):
    """Makes a run folder whose run.json has some settings."""

    def make(name, **settings):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"script": "single_model_inference.py", "settings": settings}))
        return folder

    return make


def labels(runs, paths):
    return [each.label for each in tell_apart(runs, paths)]


def test_different_labels_stay(run):
    paths = [run("a", model="instruct", instruct_temperature=0.7), run("b", model="instruct", instruct_temperature=1)]
    assert labels([RunLabel("x"), RunLabel("y")], paths) == ["x", "y"]
    in_two_panels = [RunLabel("x", "A"), RunLabel("x", "B")]
    assert tell_apart(in_two_panels, paths) == in_two_panels


def test_two_temperatures_of_one_model(run):
    """Only the temperature of the model that answered counts."""
    paths = [
        run(f"run_{each}", model="instruct", instruct_temperature=each, base_temperature=0.8) for each in (0.7, 1.0)
    ]
    assert labels([RunLabel("vicuna")] * 2, paths) == ["vicuna, temperature 0.7", "vicuna, temperature 1"]


def test_two_alphas_at_one_temperature(run):
    paths = [run(name, model="instruct", instruct_temperature=0.7) for name in "ab"]
    runs = [RunLabel("vicuna", alpha=alpha) for alpha in (0.7, 0.9)]
    assert labels(runs, paths) == ["vicuna, alpha 0.7", "vicuna, alpha 0.9"]


def test_what_differs_is_added_until_all_are_told_apart(run):
    """Three runs, two of them at one temperature."""
    temperatures = {"one/x": 0.7, "two/x": 0.7, "three/x": 1.0}
    paths = [run(name, model="base", base_temperature=each) for name, each in temperatures.items()]
    assert labels([RunLabel("m")] * 3, paths) == [
        "m, temperature 0.7, one",
        "m, temperature 0.7, two",
        "m, temperature 1",
    ]


def test_switching_has_two_temperatures(run):
    paths = [run(f"{each}", base_temperature=0.8, instruct_temperature=each) for each in (0.2, 0.7)]
    assert labels([RunLabel("switching")] * 2, paths) == [
        "switching, temperature 0.8 and 0.2", "switching, temperature 0.8 and 0.7"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/r/one/x.json", "/r/two/x.json"], ["m, one", "m, two"]),
        (["/r/one/mbpp/x.json", "/r/two/mbpp/x.json"], ["m, one", "m, two"]),
        (["/r/one/base", "/r/two/base", "/r/two/other"], ["m, one/base", "m, two/base", "m, two/other"]),
        (["/r/a", "/r/b"], ["m, a", "m, b"]),
        (["/r/a", "/r/a"], ["m", "m (2)"]),
        (["/r/a", "/r/a", "/r/b"], ["m, a", "m, a (2)", "m, b"]),
    ],
)
def test_folders_then_numbers(paths, names):
    assert labels([RunLabel("m")] * len(paths), list(map(Path, paths))) == names


def test_a_new_label_is_not_another_runs():
    runs = [RunLabel("m"), RunLabel("m"), RunLabel("m, a"), RunLabel("m, a (2)")]
    found = labels(runs, [Path("/r/a"), Path("/r/b"), Path("/r/c"), Path("/r/d")])
    assert len(set(found)) == 4 and found[1:2] + found[3:] == ["m, b", "m, a (2)"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["m", "m, a", "m (2)", "m, x/a"]),
            st.sampled_from(["", "P"]),
            st.sampled_from([None, 0.7, 0.9]),
            st.sampled_from(["/x/a", "/x/b", "/y/a", "/a", "/x/a/a"]),
        ),
        max_size=8,
    )
)
def test_no_two_runs_of_a_panel_share_a_label(runs):
    given_labels = [RunLabel(*run[:3]) for run in runs]
    found = tell_apart(given_labels, [Path(run[3]) for run in runs])
    assert len({(run.label, run.panel) for run in found}) == len(runs)
    for before, after in zip(given_labels, found, strict=True):
        assert after.label.startswith(before.label) and (after.panel, after.alpha) == (before.panel, before.alpha)
        if [(run.label, run.panel) for run in given_labels].count((before.label, before.panel)) == 1:
            assert after == before
