"""Rows of a curated dataset, and their summary."""

import pytest
from scripts import run_in_process, write_converted
from toy_answers import PROBLEM

import convert_to_data
from analysis.measures import dataset_summary
from analysis.reading import curated_rows
from hindsight.errors import UserError


def test_a_curated_row_has_its_run_and_problem(tmp_path):
    for index in range(2):
        write_converted(tmp_path / "merged", 4, index, f"x{index} = 1", PROBLEM, correctness=True)
    write_converted(tmp_path / "merged", 9, 0, "print(2)", {**PROBLEM, "question": "Another."}, correctness=True)
    flags = ("--input_dirs", tmp_path / "merged", "--output_dir", tmp_path / "data", "--cutoff_len", 0)
    assert run_in_process(convert_to_data, *flags).returncode == 0
    rows = curated_rows.load_curated(tmp_path / "data")
    assert dataset_summary.rows_by_problem(rows) == {4: 2, 9: 1}
    assert dataset_summary.summary(rows) == [{"run": "merged", "rows": 3, "problems": 2, "distinct programs": 2}]
    assert dataset_summary.answer_lengths(rows)["merged"] == [len(row.answer) for row in rows]
    assert run_in_process(convert_to_data, *flags, "--think_tags", "--name", "think").returncode == 0
    think = curated_rows.load_curated(tmp_path / "data", "think")
    assert [(row.answer, row.code) for row in think] == [(row.answer, row.code) for row in rows]
    (tmp_path / "data" / "hindsight.sources.jsonl").write_text("")
    with pytest.raises(UserError, match="are not a dataset of"):
        curated_rows.load_curated(tmp_path / "data")
