"""Files of rows: what is read is what was written. Each format as a whole: test_dataset_forms.py."""

import json

import pytest

from hindsight.curation.row_files import read_rows
from hindsight.errors import UserError


def test_a_line_separator_in_an_answer_does_not_end_a_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"prompt": "a\u2028b", "completion": "c\x85d"}, ensure_ascii=False)
    path.write_text(f"{line}\n", encoding="utf-8")
    (row,) = read_rows(path)
    assert (row.prompt, row.answer) == ("a\u2028b", "c\x85d")


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("[]")
    with pytest.raises(UserError, match="is not a file of rows"):
        list(read_rows(path))
