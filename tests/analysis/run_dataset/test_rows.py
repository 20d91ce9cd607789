"""An answer's files as a row, and back: every byte, whatever the texts hold."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.run_dataset.rows import KINDS, SCHEMA, cut, make_row, restore
from hindsight.files.records import write_json

LONG = "The sum of squares, step by step: 1 + 4 + 9 = 14, naïve and \U0001f600.\n"
TEXTS = st.one_of(st.text(max_size=60), st.text(min_size=40), st.sampled_from([LONG, "\0" * 50, "\ud800" * 50]))


def rows_of(folder, record, layout=write_json):
    path = folder / "question_3_sample_1.json"
    layout(path, record)
    return path.read_bytes(), make_row((3, 1), {"sample": path}, "lab-instruct", "0.7")


def test_a_row_has_the_columns_and_a_file_without_its_long_texts(tmp_path):
    record = {
        "prompt": [{"role": "user", "content": LONG}],
        "generated_text": LONG,
        "metadata": {"question": LONG, "difficulty": "EASY"},
        "generation_config": {"model": "m", "seed": 12345678901234567890},
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 212, "completion_tokens": 141},
        "converted_text": "short",
        "correctness": False,
        "correctness_reason": "wrong answer",
        "test_results": [{"index": 0, "passed": False}],
        "segments": [{"of": "an unknown key"}],
    }
    content, row = rows_of(tmp_path, record)
    values = row.values
    assert list(values.keys() ^ set(SCHEMA.names)) == []
    assert (values["question_id"], values["sample_index"], values["model"], values["alpha"]) == (
        3,
        1,
        "lab-instruct",
        "0.7",
    )
    assert (values["generated_text"], values["question"], values["difficulty"]) == (LONG, LONG, "EASY")
    assert (values["outcome"], values["correctness"]) == ("wrong", False)
    assert (values["prompt_tokens"], values["completion_tokens"]) == (212, 141)
    assert json.loads(values["prompt"]) == record["prompt"]
    assert json.loads(values["generation_config"]) == record["generation_config"]
    assert values["sample_file"].count(b"\0generated_text:text\0") == 3 and b"an unknown key" in values["sample_file"]
    assert [values[f"{kind}_file"] for kind in KINDS[1:]] == [None, None]
    assert restore(values["sample_file"], values) == content
    _, row = rows_of(tmp_path, {**record, "usage": {"prompt_tokens": 1 << 63, "completion_tokens": 2}})
    assert (row.values["prompt_tokens"], row.values["completion_tokens"]) == (None, 2)


def test_an_answer_whose_converted_file_is_broken_has_no_outcome(tmp_path):
    write_json(tmp_path / "raw.json", {"generated_text": "text"})
    (tmp_path / "broken.json").write_text('{"converted_text": "cut o')
    files = {"sample": tmp_path / "raw.json", "converted": tmp_path / "broken.json"}
    row = make_row((3, 1), files, "m", None)
    assert (row.values["outcome"], list(row.broken)) == (None, [tmp_path / "broken.json"])
    assert make_row((3, 1), {"sample": tmp_path / "raw.json"}, "m", None).values["outcome"] == "not converted"


@settings(max_examples=50)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from([None, 4]), st.booleans())
def test_cutting_texts_out_of_a_file_loses_no_byte(generated, converted, question, indent, escapes):
    record = {"metadata": {"question": question, "also": question[1:]}, "generated_text": generated, "x": converted}
    content = json.dumps({**record, "converted_text": converted}, indent=indent, ensure_ascii=escapes)
    content = content.encode("utf-8", "replace")
    values = {"question": question, "generated_text": generated, "converted_text": converted, "prompt": None}
    values = {name: text and text.encode("utf-8", "replace").decode() for name, text in values.items()}
    assert restore(cut(content, values), values) == content


def test_a_row_of_odd_types_keeps_them_in_its_file(tmp_path):
    record = {"generated_text": None, "metadata": "gone", "usage": [1], "correctness": "yes", "prompt": "a transcript"}
    content, row = rows_of(tmp_path, record, lambda path, record: path.write_text(json.dumps(record, indent=4)))
    assert (row.values["generated_text"], row.values["correctness"], row.values["prompt"]) == (
        None,
        None,
        "a transcript",
    )
    assert restore(row.values["sample_file"], row.values) == content and not row.broken


def test_files_that_are_no_json_are_broken(tmp_path):
    for content in (b"", b'{"generated_text": "cut o', b"\0" * 99, b"[1]", '{"a": "b"}'.encode("utf-16")):
        path = tmp_path / "question_3_sample_1.json"
        path.write_bytes(content)
        row = make_row((3, 1), {"sample": path}, "m", None)
        assert (row.contents, list(row.broken)) == ({}, [path])
