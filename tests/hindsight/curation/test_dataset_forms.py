"""The forms of a dataset that step 4 writes: its rows, its tags, and how `datasets` loads it."""

import json

import pytest
from curating import CALL, STDIN, counts_of, many, sampled_with
from datasets import load_dataset
from scripts import write_converted

from hindsight.curation import filters
from hindsight.curation.row_files import read_rows
from hindsight.curation.selection import ROW
from hindsight.text.prompts import SYSTEM_PROMPT, Prompts
from hindsight.text.uniform_format import TAGS


def test_rows_are_sharegpt_and_the_system_prompt_names_the_tags_of_the_answers(checked, curate):
    _, output = curate(checked)
    for row in json.loads((output / "hindsight.json").read_text()):
        assert set(row) == {"system", "conversations"}
        assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt"]
        for tag in TAGS:
            assert tag in row["system"]
            assert tag in row["conversations"][1]["value"]


def test_the_original_repositorys_metadata_tells_the_task_kind(checked, curate):
    _, output = curate(checked)
    assert {"function `double`" in row.prompt for row in read_rows(output / "hindsight.json")} == {True, False}


@pytest.mark.parametrize("form", ["sharegpt", "jsonl", "parquet"])
@pytest.mark.parametrize("base", [False, True])
def test_every_form_holds_the_same_rows_and_datasets_loads_it(form, base, checked, curate):
    flags = ["--format", form, *["--base"] * base]
    result, output = curate(checked, flags=flags)
    assert result.returncode == 0, result.stderr
    info = json.loads((output / "dataset_info.json").read_text())["hindsight"]
    rows = list(read_rows(output / info["file_name"]))
    assert len(rows) == 2 and len({row.answer for row in rows}) == 2
    for row in rows:
        assert row.system == ("" if base else SYSTEM_PROMPT)
        if base:
            assert (row.prompt + row.answer).startswith(Prompts().transcript(CALL if "double" in row.prompt else STDIN))
    kind = "parquet" if form == "parquet" else "json"
    path, cache = str(output / info["file_name"]), str(output / "cache")
    loaded = load_dataset(kind, data_files=path, split="train", cache_dir=cache)
    assert set(info["columns"].values()) <= set(loaded.column_names)
    written = [row.answer for row in rows]
    if base and form != "sharegpt":
        assert loaded["completion"][:] == written
    else:
        tags, column = info["tags"], loaded[info["columns"]["messages"]]
        assert [turns[-1][tags["content_tag"]] for turns in column] == written
        assert {turns[-1][tags["role_tag"]] for turns in column} == {tags["assistant_tag"]}


def answer_of(row):
    """The answer in a row of any format."""
    if "completion" in row:
        return row["completion"]
    return row["messages"][-1]["content"] if "messages" in row else row["conversations"][-1]["value"]


@pytest.mark.parametrize("form", ["sharegpt", "jsonl", "parquet"])
@pytest.mark.parametrize("flags", [[], ["--base"], ["--think_tags"]])
def test_a_folder_loads_with_its_splits_by_name(form, flags, tmp_path, curate):
    run = many(tmp_path / "run", problems=6, samples=2)
    result, output = curate(run, flags=["--format", form, "--validation", 0.3, *flags])
    assert result.returncode == 0, result.stderr
    report = json.loads((output / "hindsight.report.json").read_text())
    loaded = load_dataset(str(output), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {
        split: file["rows"] for split, file in report["files"].items()
    }
    assert set(loaded) == {"train", "validation"} and sum(map(len, loaded.values())) == 12
    for split, file in report["files"].items():
        written = [row.answer for row in read_rows(output / file["name"])]
        assert [answer_of(row) for row in loaded[split]] == written


def test_several_datasets_of_a_folder_load_by_their_names(tmp_path, curate):
    """Those of one format; a split without rows is none."""
    run = many(tmp_path / "run", problems=1, samples=4)
    for name, flags in (
        ("one", ["--max_samples", 1]),
        ("two [2]", ["--validation", 0.5]),
        ("3", ["--format", "parquet"]),
    ):
        assert curate(run, flags=flags, name=name)[0].returncode == 0
    output, cache = tmp_path / "data", str(tmp_path / "cache")
    assert {split: len(rows) for split, rows in load_dataset(str(output), cache_dir=cache).items()} == {"train": 4}
    curate(run, flags=["--max_samples", 1, "--overwrite"], name="one")
    for name, rows in (("one", 1), ("two [2]", 4)):
        loaded = load_dataset(str(output), name, cache_dir=cache)
        assert {split: len(each) for split, each in loaded.items()} == {"train": rows}


def test_a_readme_of_somebody_else_stays(checked, curate, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("# Mine\n")
    result, output = curate(checked)
    assert (output / "README.md").read_text() == "# Mine\n"
    assert "README.md was not written by this script" in result.stdout
    (output / "README.md").unlink()
    for _ in range(2):
        result, _ = curate(checked)
        assert "README.md" not in result.stdout
        assert "hindsight.json" in (output / "README.md").read_text()


def test_rows_with_think_tags_leave_out_answers_that_name_these_tags(checked, curate):
    write_converted(checked, 7, 0, "print('</think>')", STDIN, correctness=True)
    result, output = curate(checked, flags=["--think_tags"])
    assert result.returncode == 0, result.stderr
    assert counts_of(output) == {"not judged": [1], "incorrect": [1], filters.OWN_THINK: [1], ROW: [2]}
    for row in read_rows(output / "hindsight.json"):
        assert row.answer.startswith("<think>\nhm\n</think>\n\n```python\n") and "<think>\n" in row.system
        assert not any(tag in row.system + row.answer for tag in TAGS)
    curate(checked, name="ours")
    assert counts_of(output, "ours")[ROW] == [3]


def test_a_template_that_drops_thoughts_is_named(checked, curate, tmp_path):
    template = "{% for m in messages %}{{ m.role }}: {{ m.content.split('</think>')[-1] }}\n{% endfor %}"
    (tmp_path / "drops.jinja").write_text(template)
    for flags, noted in (([], False), (["--think_tags"], True)):
        flags = ["--chat_template", tmp_path / "drops.jinja", "--cutoff_len", 1024, "--overwrite", *flags]
        result, _ = curate(checked, flags=flags)
        assert (result.returncode, "the chat template drops thoughts" in result.stdout) == (0, noted)


def test_a_template_without_a_system_message_wants_rows_without(tmp_path, curate):
    template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system') }}{% endif %}{% endfor %}"
    )
    (tmp_path / "gemma.jinja").write_text(template + "{{ messages[-1].content }}")
    flags = ["--chat_template", tmp_path / "gemma.jinja", "--cutoff_len", 1024]
    with_system = sampled_with(tmp_path / "with", "")
    result, _ = curate(with_system, flags=flags)
    assert (result.returncode, "give --system_prompt false" in result.stderr) == (
        2,
        True,
    ) and "Traceback" not in result.stderr
    without = sampled_with(tmp_path / "without", "", system_prompt=False)
    result, output = curate(without, flags=[*flags, "--system_prompt", "false"])
    assert result.returncode == 0, result.stderr
    assert [row.system for row in read_rows(output / "hindsight.json")] == ["", ""]


def test_the_entry_stands_in_dataset_info_beside_those_of_others(checked, curate):
    _, output = curate(checked, flags=["--validation", 0.5])
    curate(checked, name="second")
    info = json.loads((output / "dataset_info.json").read_text())
    assert set(info) == {"hindsight", "hindsight_validation", "second"}
    assert all((output / entry["file_name"]).exists() for entry in info.values())
    curate(checked, flags=["--overwrite"])
    assert set(json.loads((output / "dataset_info.json").read_text())) == {"hindsight", "second"}
