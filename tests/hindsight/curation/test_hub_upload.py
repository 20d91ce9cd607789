"""The way to the Hub, against a small server that speaks its API."""

import pytest
from datasets import load_dataset
from scripts import run_in_process, write_converted

import convert_to_data

PROBLEMS = [{"question": f"Problem {number}", "starter_code": ""} for number in range(8)]


@pytest.fixture
def push(tmp_path):
    for number, problem in enumerate(PROBLEMS):
        write_converted(tmp_path / "run", number, 0, f"print({number}, {number * 7919})", problem, correctness=True)

    def run(*flags):
        given = ("--input_dirs", tmp_path / "run", "--output_dir", tmp_path / "data", "--cutoff_len", 0, "--workers", 1,
                 "--near_duplicates", 0, "--push_to_hub", "me/toy")  # fmt: skip
        return run_in_process(convert_to_data, *given, *flags)

    return run


@pytest.mark.slow  # together they take over three seconds
@pytest.mark.parametrize("form", ["sharegpt", "jsonl", "parquet"])
def test_what_is_pushed_loads_as_a_data_set_with_its_splits(form, push, hub, tmp_path):
    result = push("--format", form, "--validation", 0.4)
    assert result.returncode == 0, result.stderr
    assert f"{hub.url}/datasets/me/toy\n" in result.stdout
    folder = tmp_path / "downloaded"
    folder.mkdir()
    files = hub.files("me/toy", "dataset")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert {"README.md", "hindsight.sources.jsonl"} < set(files)
    assert hub.repositories["dataset", "me/toy"].visibility == "private"
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"} and sum(map(len, loaded.values())) == len(PROBLEMS)


def test_a_hub_that_refuses_the_token_ends_in_one_sentence_before_any_work(push, hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    result = push()
    assert result.returncode == 2 and "the Hub refuses the token" in result.stderr
    assert not (tmp_path / "data").exists()


def test_when_the_upload_breaks_off_the_dataset_is_there(push, hub, tmp_path):
    hub.drop = 1
    result = push("--format", "parquet")
    assert result.returncode == 2
    assert "the dataset is written, but not on the Hub: " in result.stderr
    assert list((tmp_path / "data").glob("**/*.parquet"))
