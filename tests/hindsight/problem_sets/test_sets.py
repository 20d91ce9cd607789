"""The known sets: rows in each set's own columns become problems, by name or told by these columns."""

import base64
import json
import os
import pickle
import zlib
from pathlib import Path

import datasets
import pytest
from problem_rows import (
    ADD,
    APPS,
    ASSERT,
    CODE_CONTESTS,
    HUB_HUMANEVAL,
    HUB_MBPP,
    HUMANEVAL,
    LEETCODE,
    LIVECODEBENCH,
    MBPP,
    SIGNATURE,
    STDIN,
    SUM,
    WORDS,
    case,
    pack,
    write,
)
from scripts import EVALPLUS

from hindsight.curation.contamination import BenchmarkTexts, read_benchmarks
from hindsight.errors import UserError
from hindsight.problem_sets import livecodebench, sources
from hindsight.problem_sets.problem_lookup import ProblemLookup
from hindsight.problem_sets.problem_set import ProblemSet
from hindsight.problem_sets.selection import describe, load_problems, select_problems
from hindsight.sampling.samples import ProblemChoice
from hindsight.text.prompts import user_prompt


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No cache of this machine, and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("MBPP_OVERRIDE_PATH", "HUMANEVAL_OVERRIDE_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def one(path, *rows, name=""):
    return ProblemSet(f"{name}{write(path, *rows)}").row(0)


def test_a_task_of_mbppplus_asks_in_words_and_shows_the_assert_that_names_the_function(tmp_path):
    problem = one(tmp_path / "p.jsonl", MBPP)
    assert (problem["task_id"], problem["question_id"], problem["fn_name"]) == ("Mbpp/2", 2, "add")
    assert problem["question"] == f"{WORDS}\n\nThe function must pass this test:\n\n{ASSERT}"
    assert problem["input_output"] == {
        "fn_name": "add", "set": "mbpp", "task_id": "Mbpp/2", "base_input": [[1, 2]], "plus_input": [[3, 4]],
        "canonical_solution": MBPP["prompt"] + ADD, "atol": 0,
    }  # fmt: skip
    assert json.loads(problem["solutions"]) == [MBPP["prompt"] + ADD]
    assert user_prompt(problem).endswith(ASSERT)


def test_inputs_that_only_python_reads_as_json_are_kept(tmp_path):
    text = json.dumps({**MBPP, "plus_input": ["?"]}).replace('"?"', "[-Infinity, 1" + "0" * 5000 + "]")
    (tmp_path / "p.jsonl").write_text(text)
    assert ProblemSet(str(tmp_path / "p.jsonl")).row(0)["input_output"]["plus_input"] == [[float("-inf"), 10**5000]]


def test_a_task_of_humanevalplus_is_a_program_to_complete(tmp_path):
    problem = one(tmp_path / "p.jsonl", HUMANEVAL)
    assert (problem["task_id"], problem["question_id"], problem["starter_code"], problem["prompt"]) == (
        "HumanEval/0",
        0,
        "",
        SIGNATURE,
    )
    assert problem["input_output"]["set"] == "humaneval" and problem["input_output"]["atol"] == 0.5
    assert json.loads(problem["solutions"]) == [SIGNATURE + "    return 2 * x\n"]
    asked = f"Complete the function `double`, and write the whole program:\n\n```python\n{SIGNATURE.strip()}\n```"
    assert problem["question"] == asked and user_prompt(problem).endswith(asked)


def test_of_the_base_sets_only_the_base_tests_are_used(tmp_path, home):
    write(home / "evalplus" / "MbppPlus-v0.2.0.jsonl", MBPP)
    write(home / "evalplus" / "HumanEvalPlus-v0.1.10.jsonl", HUMANEVAL)
    for name, has in (("mbpp", False), ("mbppplus", True), ("humaneval", False), ("humanevalplus", True)):
        assert ("plus_input" in ProblemSet(name).row(0)["input_output"]) == has
    copy = write(tmp_path / "copy.jsonl.gz", {**MBPP, "plus_input": []})
    assert "plus_input" not in ProblemSet(f"mbpp:{copy}").row(0)["input_output"]


def test_on_the_hub_the_tests_are_a_program(tmp_path):
    mbpp = one(tmp_path / "m.jsonl", HUB_MBPP)
    assert (mbpp["task_id"], mbpp["question_id"], mbpp["fn_name"]) == ("Mbpp/2", 2, "add")
    tests = {"fn_name": "add", "test_program": HUB_MBPP["test"], "canonical_solution": HUB_MBPP["code"]}
    assert mbpp["input_output"] == tests
    assert json.loads(mbpp["solutions"]) == [HUB_MBPP["code"]]
    base = one(tmp_path / "m.jsonl", HUB_MBPP, name="mbpp:")["input_output"]["test_program"]
    assert base == f"import math\nassert set([add(1, 2)]) == {{3}}\n{ASSERT}\n"
    humaneval = one(tmp_path / "h.jsonl", HUB_HUMANEVAL)
    assert humaneval["input_output"]["test_program"] == f"{HUMANEVAL['test']}\n\ncheck(double)\n"
    called = one(tmp_path / "c.jsonl", {**HUB_HUMANEVAL, "test": f"{HUMANEVAL['test']}\ncheck(double)"})
    assert called["input_output"]["test_program"].count("check(double)") == 1


def test_base_and_plus_tests_in_one_program_are_not_taken_for_base_tests(tmp_path):
    row = {**HUB_HUMANEVAL, "test": "def check(candidate):\n    for i, e in zip(inputs, results): ..."}
    with pytest.raises(UserError, match="base and plus tests in one program; name the set humanevalplus"):
        one(tmp_path / "h.jsonl", row, name="humaneval:")


def test_the_original_mbpp_has_the_same_columns(tmp_path):
    row = {"task_id": 2, "text": WORDS, "code": ADD, "test_list": [ASSERT], "test_setup_code": "X = 1",
           "challenge_test_list": []}  # fmt: skip
    problem = one(tmp_path / "m.jsonl", row)
    assert problem["input_output"]["test_program"] == f"X = 1\n{ASSERT}\n"
    assert problem["question"].startswith(WORDS)


def test_rows_of_apps_have_their_number_and_may_have_no_tests(tmp_path):
    path = write(
        tmp_path / "a.jsonl", APPS, {**APPS, "id": 8, "input_output": ""}, {**APPS, "id": 9, "input_output": "{}"}
    )
    problems = select_problems(path, difficulty="interview")
    assert (list(problems.question_ids), problems.untested) == ([7, 8, 9], {8, 9})
    assert problems.rows.row(0)["input_output"] == STDIN
    assert ProblemSet(write(tmp_path / "b.jsonl", {**APPS, "problem_id": 3})).problem(0)["question_id"] == 3
    assert ProblemSet(write(tmp_path / "c.jsonl", {**APPS, "id": "sum"})).problem(0)["question_id"] == 0


def test_problems_without_tests_are_not_sampled(tmp_path):
    path = write(tmp_path / "a.jsonl", {**APPS, "input_output": ""}, {**APPS, "id": 8})
    choice = ProblemChoice(path, "", "", 0, 0, 0, 1)
    chosen = choice.select()
    assert list(chosen.question_ids) == [8] and describe(chosen)["without_tests"] == [7]
    with pytest.raises(UserError, match="no problem of .* has tests"):
        ProblemChoice(write(tmp_path / "b.jsonl", {**APPS, "input_output": ""}), "", "", 0, 0, 0, 1).select()


def test_a_difficulty_that_a_set_has_not_lists_those_that_it_has(tmp_path):
    path = write(tmp_path / "a.jsonl", APPS, {**APPS, "id": 8, "difficulty": "competition"})
    with pytest.raises(UserError, match=r"no problem of difficulty 'EASY' .*difficulty: competition, interview"):
        load_problems(path, difficulty="EASY")
    with pytest.raises(UserError, match="no difficulty"):
        load_problems(write(tmp_path / "m.jsonl", MBPP), difficulty="EASY")


def test_tests_of_livecodebench_are_public_and_private_ones(tmp_path):
    rows = ProblemSet(write(tmp_path / "l.jsonl", LIVECODEBENCH, LEETCODE))
    stdin, call = rows.row(0), rows.row(1)
    assert (stdin["task_id"], stdin["question_id"], stdin["date"]) == ("abc301_a", 0, "2024-08-01")
    assert stdin["input_output"] == {"inputs": ["1 2\n", "2 2\n"], "outputs": ["3\n", "4\n"]}
    assert (call["question_id"], call["fn_name"], call["starter_code"]) == (1, "total", LEETCODE["starter_code"])
    assert call["input_output"] == {"fn_name": "total", "inputs": [[[1, 2], 3], [[], "a"]], "outputs": [6, None]}
    assert "private_test_cases" not in stdin and "public_test_cases" not in stdin


def test_dates_are_a_filter_that_includes_both_days(tmp_path):
    path = write(tmp_path / "l.jsonl", LIVECODEBENCH, LEETCODE, {**LIVECODEBENCH, "contest_date": ""})
    assert list(select_problems(path, first_day="2024-08-01").question_ids) == [0]
    assert list(select_problems(path, last_day="2024-07-31").question_ids) == [1]
    assert list(select_problems(path, first_day="2023-07-08", last_day="2024-08-01").question_ids) == [0, 1]
    with pytest.raises(UserError, match=r"a date from 2025-01-01 to the last .*dates from 2023-07-08 to 2024-08-01"):
        select_problems(path, first_day="2025-01-01")
    with pytest.raises(UserError, match="a date is written as 2024-08-01"):
        select_problems(path, first_day="August")
    with pytest.raises(UserError, match="no dates"):
        select_problems(write(tmp_path / "m.jsonl", MBPP), first_day="2024-01-01")


class Runs:
    def __reduce__(self):
        return os.mkdir, ("/tmp/ran-while-unpacking",)


@pytest.mark.parametrize(
    ("packed", "sentence"),
    [
        (pack(Runs()), "they name posix.mkdir"),
        (pack(["a"]), "not a list of inputs and outputs"),
        (pack("[1]"), "not a list of inputs and outputs"),
        (pack("not JSON"), "Expecting value"),
        (base64.b64encode(zlib.compress(b"cos\nsystem\n(S'x'\ntR.")).decode(), "they name os.system"),
        (base64.b64encode(zlib.compress(b"\x80\x04")).decode(), "not pickled text"),
        (base64.b64encode(zlib.compress(pickle.dumps("x" * 100))[:-8]).decode(), "cut short"),
        (base64.b64encode(b"no zlib").decode(), "cannot be unpacked"),
        ("eJx!", "cannot be unpacked"),
    ],
)
def test_private_tests_are_unpacked_without_running_anything(packed, sentence, tmp_path):
    with pytest.raises(UserError, match=f"the tests of row 0 of .*{sentence}"):
        one(tmp_path / "l.jsonl", {**LIVECODEBENCH, "private_test_cases": packed})
    assert not Path("/tmp/ran-while-unpacking").exists()


def test_private_tests_have_a_largest_size_and_may_be_plain(monkeypatch):
    tests = [case("1", "2")]
    assert livecodebench.private_tests(json.dumps(tests)) == livecodebench.private_tests(tests) == tests
    assert livecodebench.private_tests("") == []
    monkeypatch.setattr(livecodebench, "MOST_BYTES", 1 << 20)
    with pytest.raises(ValueError, match="more than 1 MiB"):
        livecodebench.private_tests(pack(" " * (2 << 20)))


def test_code_contests_has_all_its_tests_once_and_solutions_in_python_3(tmp_path):
    problem = one(tmp_path / "c.jsonl", CODE_CONTESTS)
    assert problem["input_output"] == {"inputs": ["1 2\n", "2 2\n", "3 3\n"], "outputs": ["3\n", "4\n", "6\n"]}
    assert json.loads(problem["solutions"]) == [SUM]
    assert (problem["difficulty"], problem["source"], problem["task_id"]) == ("A", "CODEFORCES", "1575_A. Sum")
    assert problem["fn_name"] is None


def test_a_function_that_only_a_column_names_is_not_judged_by_standard_input(tmp_path):
    call = {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}
    row = {"question": "Add.", "fn_name": "add", "input_output": json.dumps(call)}
    assert one(tmp_path / "t.jsonl", row)["fn_name"] == "add"
    for tests, name in ({**call, "fn_name": "sum"}, "'sum'"), ({"inputs": ["1 2"], "outputs": ["3"]}, "None"):
        with pytest.raises(UserError, match=f"row 0 of .* column fn_name is 'add', and .* is {name}"):
            one(tmp_path / "t.jsonl", {**row, "input_output": json.dumps(tests)})


@pytest.mark.parametrize("tests", [{"input": ["1"], "output": []}, {"input": ["1"]}, "1", 3])
def test_malformed_tests_of_code_contests_are_one_sentence(tmp_path, tests):
    rows = select_problems(write(tmp_path / "c.jsonl", {**CODE_CONTESTS, "public_tests": tests})).rows
    with pytest.raises(UserError, match="the tests of row 0 of"):
        rows.row(0)


def test_functional_tests_of_livecodebench_without_a_function_are_not_read_as_standard_input(tmp_path):
    with pytest.raises(UserError, match="the tests of row 0 of .* metadata has no func_name"):
        one(tmp_path / "l.jsonl", {**LEETCODE, "metadata": "{}"})


def test_a_problem_of_code_contests_about_files_has_no_tests(tmp_path):
    path = write(tmp_path / "c.jsonl", {**CODE_CONTESTS, "input_file": "input.txt"})
    assert select_problems(path).untested == {0}


def test_code_contests_from_parquet_is_the_same(tmp_path, home):
    folder = home / "hindsight" / "problem_sets" / "code_contests"
    folder.mkdir(parents=True)
    features = datasets.Dataset.from_list([CODE_CONTESTS]).features
    both = datasets.Sequence({"input": datasets.Value("string"), "output": datasets.Value("string")})
    features |= {f"{kind}_tests": both for kind in ("public", "private", "generated")}
    rows = datasets.Dataset.from_list([CODE_CONTESTS], features=datasets.Features(features))
    for number in (0, 1):
        rows.to_parquet(folder / f"test-0000{number}-of-00002-ab.parquet")
    by_name = ProblemSet("code_contests", "test")
    file = one(tmp_path / "c.jsonl", CODE_CONTESTS)
    assert len(by_name) == 2 and by_name.row(1)["input_output"] == file["input_output"]
    assert by_name.row(1)["solutions"] == file["solutions"]


@pytest.fixture
def releases(home):
    folder = home / "hindsight" / "problem_sets" / "livecodebench"
    write(folder / "test.jsonl", LIVECODEBENCH, LEETCODE)
    write(folder / "test2.jsonl", {**LIVECODEBENCH, "question_id": "abc400_a"})
    return folder


def test_a_release_is_all_files_up_to_its_own(releases):
    assert len(ProblemSet("livecodebench:release_v1")) == 2
    second = ProblemSet("livecodebench:release_v2", "test")
    assert [second.problem(row)["task_id"] for row in range(3)] == ["abc301_a", "2777", "abc400_a"]
    assert len(ProblemSet("livecodebench:v2")) == 1 and len(ProblemSet("livecodebench:v1_v2")) == 3
    assert second.origin["dataset"] == "livecodebench:release_v2" and second.origin["split"] == "test"
    answer = {"question_id": 2, "metadata": {"origin": second.problem(2)["origin"]}}
    assert ProblemLookup().problem(answer)["input_output"]["outputs"] == ["3\n", "4\n"]


def test_the_name_alone_is_the_newest_release_and_the_record_says_which(home):
    for file in livecodebench.RELEASES["release_v6"]:
        write(home / "hindsight" / "problem_sets" / "livecodebench" / file, LIVECODEBENCH)
    assert ProblemSet("livecodebench").origin["dataset"] == "livecodebench:release_v6"


@pytest.mark.parametrize(
    ("source", "split", "sentence"),
    [
        ("mbpplus", "", "no problem set or file 'mbpplus'; the sets are lab, mbppplus, humanevalplus, .*apps"),
        ("livecodebench:release_v9", "", "no release 'release_v9'; it has release_v6, release_v5"),
        ("livecodebench", "train", "no split 'train'; it has test"),
        ("apps:release_v1", "", "apps has no release 'release_v1'"),
        ("apps", "dev", "apps has no split 'dev'; it has test, train"),
        ("mbpp:none.jsonl", "", "no problem file none.jsonl"),
        ("apps", "", r"test.jsonl of https://huggingface.co/datasets/codeparrot/apps into .*problem_sets/apps"),
        ("codeparrot/apps", "train", r"put train.jsonl of https"),
        ("livecodebench:release_v2", "", "put test.jsonl and test2.jsonl of"),
        ("mbppplus", "", r"put https://github.com/evalplus/mbppplus_release/.*v0.2.0/MbppPlus.jsonl.gz, unpacked, into "
         r".*evalplus/MbppPlus-v0.2.0.jsonl, or name a copy by --problems mbppplus:FILE"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence_that_says_what_to_do(source, split, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        load_problems(source, split)
    assert "\n" not in str(error.value)


def test_evalplus_own_variable_for_another_file_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", write(tmp_path / "mine.jsonl", MBPP))
    assert len(ProblemSet("mbppplus")) == 1
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", "gone.jsonl")
    with pytest.raises(UserError, match="MBPP_OVERRIDE_PATH names gone.jsonl"):
        ProblemSet("mbppplus")


def test_the_hub_is_read_by_name_with_its_revision(tmp_path, monkeypatch):
    asked = []
    file = tmp_path / "test.jsonl"
    write(file, APPS)
    monkeypatch.setattr(sources, "hub_files", lambda *given: (asked.append(given), ([file], "abc"))[1])
    problem = load_problems("apps")[0]
    assert asked == [("codeparrot/apps", ("test.jsonl",), "")]
    assert problem["origin"] == {"dataset": "apps", "split": "test", "revision": "abc", "row": 0}
    ProblemLookup().problem({"question_id": 7, "metadata": {"origin": problem["origin"]}})
    assert asked[1] == ("codeparrot/apps", ("test.jsonl",), "abc")


def test_tests_of_another_set_are_not_taken_for_an_answers_own(tmp_path):
    write(tmp_path / "m.jsonl", MBPP)
    write(tmp_path / "h.jsonl", {**HUMANEVAL, "task_id": "HumanEval/2"})
    problem = load_problems(str(tmp_path / "m.jsonl"), with_tests=False)[0]
    answer = {"question_id": 2, "metadata": {key: value for key, value in problem.items() if key != "question_id"}}
    assert ProblemLookup().problem(answer)["input_output"]["task_id"] == "Mbpp/2"
    assert ProblemLookup(f"mbpp:{tmp_path / 'm.jsonl'}").problem(answer)["fn_name"] == "add"
    with pytest.raises(UserError, match="question 2 of .* is HumanEval/2, and the answer is to Mbpp/2"):
        ProblemLookup(str(tmp_path / "h.jsonl")).problem(answer)


@pytest.mark.parametrize(
    ("row", "text"),
    [(MBPP, WORDS), (HUB_MBPP, WORDS), (HUMANEVAL, SIGNATURE), (LIVECODEBENCH, "Print the sum."),
     (CODE_CONTESTS, "Print the sum."), (APPS, "Add.")],
)  # fmt: skip
def test_contamination_compares_the_statement_alone(tmp_path, row, text):
    assert [said for _, said in read_benchmarks("", "", [write(tmp_path / "b.jsonl", row)])] == [text]


@pytest.mark.parametrize("row", [MBPP, HUB_MBPP, HUMANEVAL])
def test_training_on_a_test_set_is_contamination(tmp_path, row):
    more = "numbers and then to return the one that is larger than all of the others. "
    path = write(tmp_path / "b.jsonl", {**row, "prompt": row["prompt"].replace("numbers.", more).replace("x.", more)})
    texts = BenchmarkTexts(read_benchmarks("", "", [path]), 13)
    assert texts.nearest(ProblemSet(path).problem(0)["question"])[0] == 1.0


def test_a_json_list_and_a_gzipped_file_have_the_same_rows(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps([APPS, {**APPS, "id": 8}]))
    packed = write(tmp_path / "p.jsonl.gz", APPS, {**APPS, "id": 8})
    for path in (str(tmp_path / "list.json"), packed):
        assert [problem["question_id"] for problem in load_problems(path)] == [7, 8]
    (tmp_path / "cut.jsonl.gz").write_bytes(Path(packed).read_bytes()[:40])
    with pytest.raises(UserError, match=r"cut.jsonl.gz is not valid gzip"):
        load_problems(str(tmp_path / "cut.jsonl.gz"))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({**HUB_MBPP, "test_list": ["assert other(1)"]}, "call no function that its code defines"),
        ({key: LIVECODEBENCH[key] for key in LIVECODEBENCH if key != "question_id"}, "KeyError 'question_id'"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, row, sentence):
    with pytest.raises(UserError, match=sentence):
        load_problems(write(tmp_path / "bad.jsonl", row))


@pytest.mark.skipif(not EVALPLUS.is_dir(), reason="evalplus's files are not on this machine")
@pytest.mark.parametrize(("file", "count"), [("MbppPlus", 378), ("HumanEvalPlus", 164)])
def test_both_forms_of_the_real_sets_name_the_same_functions(file, count):
    own, hub = (select_problems(str(EVALPLUS / f"{file}{form}.jsonl.gz")) for form in ("", "-OriginFmt"))
    assert len(own) == len(hub) == count and not own.untested and not hub.untested
    for one, other in zip(own, hub, strict=True):
        assert [one[key] for key in ("task_id", "question_id", "fn_name")] == [
            other[key] for key in ("task_id", "question_id", "fn_name")
        ]


def test_what_the_hubs_client_has_in_its_cache_serves_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    kept, revision = tmp_path / "datasets--codeparrot--apps", "c" * 40
    write(kept / "snapshots" / revision / "test.jsonl", APPS)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(revision)
    problem = load_problems("codeparrot/apps")[0]
    assert problem["origin"] == {"dataset": "codeparrot/apps", "split": "test", "revision": revision, "row": 0}
    assert ProblemSet("apps", "test", revision).origin["revision"] == revision
    with pytest.raises(UserError, match=r"apps has no file train.jsonl .*; put train.jsonl of"):
        ProblemSet("apps", "train")
