"""Problem sets: rows of TACO's schema from JSONL, Parquet and Arrow, and the way back from an answer to its tests."""

import json

import datasets
import pytest

from hindsight.errors import UserError
from hindsight.problem_sets.problem_lookup import ProblemLookup
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.problems import parse_tests
from hindsight.problem_sets.selection import describe, load_problems, select_problems

ADD = json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]})
STDIN = {"question": "Add.", "input_output": ADD, "difficulty": "EASY"}
CALL = {
    "question": "Double.",
    "input_output": json.dumps({"fn_name": "double", "inputs": [[2]], "outputs": [4]}),
    "difficulty": "HARD",
}


@pytest.fixture
def jsonl(tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ({**STDIN, "task_id": 70}, {**CALL, "task_id": 71})) + "\n")
    return path


def test_a_row_has_its_id_its_function_and_its_origin(jsonl):
    first, second = load_problems(str(jsonl))
    assert (first["question_id"], first["fn_name"], second["fn_name"]) == (70, None, "double")
    assert (second["origin"]["row"], second["origin"]["dataset"]) == (1, str(jsonl))
    assert describe(select_problems(str(jsonl)))["question_ids"] == [70, 71]


def test_rows_without_a_task_id_are_numbered(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(f"{json.dumps(STDIN)}\n\n{json.dumps(CALL)}\n")
    assert [problem["question_id"] for problem in load_problems(str(path))] == [0, 1]


def test_a_difficulty_filter_keeps_the_ids_and_row_numbers(jsonl):
    (only,) = load_problems(str(jsonl), difficulty="HARD")
    assert (only["question_id"], only["origin"]["row"]) == (71, 1)


def test_tests_can_be_left_out(jsonl):
    assert "input_output" not in load_problems(str(jsonl), with_tests=False)[0]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_parquet_and_arrow_read_as_the_same_rows(tmp_path, kind):
    rows = datasets.Dataset.from_list([STDIN, CALL])
    if kind == "parquet":
        path = tmp_path / "p.parquet"
        rows.to_parquet(path)
    else:
        rows.save_to_disk(tmp_path / "saved")
        (path,) = (tmp_path / "saved").glob("*.arrow")
    assert [problem["fn_name"] for problem in load_problems(str(path))] == [None, "double"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"question": "Add."}\n', "row 0 of .* lacks input_output"),
        ("question,answer\n", "is not JSONL: row 0 is not JSON"),
        (f"{json.dumps(STDIN)}\n[1]\n", "row 1 is a list"),
        (f"{json.dumps({**STDIN, 'task_id': 1})}\n{json.dumps({**CALL, 'task_id': 1})}", "two problems with task_id"),
        ("", "has no problem"),
        (json.dumps({**STDIN, "task_id": -1}), "row 0 of .* has -1 as its id, expected a number from 0 to"),
        (json.dumps({**STDIN, "task_id": 2**63}), "has 9223372036854775808 as its id"),
        (json.dumps({**STDIN, "question": None}), "has None as its question, expected a text"),
        (json.dumps({**STDIN, "starter_code": 5}), "has 5 as its starter_code, expected a text"),
        (json.dumps({**STDIN, "difficulty": ["EASY"]}), r"has \['EASY'\] as its difficulty, expected one value"),
    ],
)
def test_a_bad_file_is_refused_with_its_row(tmp_path, content, sentence):
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        load_problems(str(path))


def test_a_list_is_read_behind_a_byte_order_mark(tmp_path):
    path = tmp_path / "marked.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps([STDIN, CALL]).encode())
    assert [problem["question_id"] for problem in load_problems(str(path))] == [0, 1]


def test_a_difficulty_that_is_a_number_can_be_named(tmp_path):
    path = tmp_path / "rated.jsonl"
    path.write_text(f"{json.dumps({**STDIN, 'difficulty': 1200})}\n{json.dumps({**CALL, 'difficulty': 1900})}")
    assert [problem["question_id"] for problem in load_problems(str(path), difficulty="1900")] == [1]


def test_a_missing_file_and_an_unknown_difficulty_are_reported(jsonl, tmp_path):
    with pytest.raises(UserError, match="there is no problem file"):
        load_problems(str(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match="there is no problem set or file ''"):
        load_problems("")
    with pytest.raises(UserError, match=r"it has .*EASY, HARD"):
        load_problems(str(jsonl), difficulty="MEDIUM")


def test_an_unreachable_hub_is_reported_in_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"BAAI/TACO .* cannot be loaded"):
        load_problems("BAAI/TACO", "train", "MEDIUM")


def answer_to(problem):
    return {"question_id": problem["question_id"], "metadata": {"origin": problem["origin"]}}


def test_the_tests_of_an_answer_are_found_again(jsonl):
    problem = load_problems(str(jsonl), with_tests=False)[1]
    assert parse_tests(ProblemLookup().problem(answer_to(problem))["input_output"])["outputs"] == [4]


def test_tests_inside_an_answer_are_used():
    record = {"question_id": 5, "metadata": {"input_output": CALL["input_output"]}}
    assert ProblemLookup().problem(record)["input_output"] == CALL["input_output"]


def test_another_version_of_the_problem_file_is_refused(jsonl):
    answer = answer_to(load_problems(str(jsonl))[0])
    jsonl.write_text(jsonl.read_text().replace("3\\\\n", "4\\\\n"))
    with pytest.raises(UserError, match="its digest differs"):
        ProblemLookup().problem(answer)
    assert "4" in ProblemLookup(str(jsonl)).problem(answer)["input_output"]


def test_an_answer_without_a_problem_set_needs_one_by_flag(jsonl):
    record = {"question_id": 71, "metadata": {}}
    with pytest.raises(UserError, match="give one by --problems"):
        ProblemLookup().problem(record)
    assert ProblemLookup(str(jsonl)).problem(record)["fn_name"] == "double"
    with pytest.raises(UserError, match="has no question 72"):
        ProblemLookup(str(jsonl)).problem({**record, "question_id": 72})


def test_integers_may_be_longer_than_python_parses_by_default():
    assert parse_tests('{"outputs": [1' + "0" * 5000 + "]}")["outputs"] == [10**5000]


@pytest.mark.parametrize("tests", ["[1]", "5", 5, ["a"], "{", '"text"'])
def test_tests_that_are_no_object_are_refused(tests):
    with pytest.raises(ValueError):
        parse_tests(tests)


def test_the_lab_is_a_problem_set():
    assert len(ProblemSet("lab")) >= 60
