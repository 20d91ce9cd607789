"""Result files of evalplus: what passes, by each reading; every schema; what is refused."""

import gzip
import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import ROOT

from hindsight.errors import UserError
from hindsight.files.verdicts import Outcome
from hindsight.pass_at_k.evalplus_results import count_evalplus, label_of, result_files

SHARED_PROGRAMS = ROOT.parent / "shared" / "evalplus" / "programs.jsonl.gz"
STATUSES = [("pass", "pass"), ("fail", "pass"), ("timeout", "pass"), ("pass", "fail")]


def sample(base, plus):
    return {"solution": "x", "base_status": base, "plus_status": plus, "base_fail_tests": [float("inf")]}


def new_schema(*pairs):
    return {"date": "x", "eval": {"Mbpp/2": [sample(*pair) for pair in pairs]}}


def old_schema(*pairs):
    words = {"pass": "success", "fail": "failed", "timeout": "timed out"}
    base, plus = ([[words[status], [True, False]] for status in side] for side in zip(*pairs, strict=True))
    return {"eval": {"Mbpp/2": {"nfiles": len(pairs), "base": base, "plus": plus}}}


@pytest.fixture
def write(tmp_path):
    def run(content, name="x.eval_results.json"):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return run


def share(path, reading):
    counts = count_evalplus(path, reading)
    assert counts.of(Outcome.CORRECT).sum() + counts.of(Outcome.WRONG).sum() == counts.samples.sum()
    return counts.correct.sum() / counts.samples.sum()


@pytest.mark.parametrize("schema", [new_schema, old_schema])
@pytest.mark.parametrize(("reading", "right"), [("plus", 0.25), ("base", 0.5), ("plus alone", 0.75)])
def test_plus_is_base_and_plus_as_evalplus_counts(write, schema, reading, right):
    assert share(write(schema(*STATUSES)), reading) == right


@given(st.lists(st.sampled_from(list(product(("pass", "fail", "timeout"), repeat=2))), min_size=1, max_size=6))
def test_both_schemas_mean_the_same_and_plus_is_never_above_the_others(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("evalplus")
    (folder / "new.json").write_text(json.dumps(new_schema(*pairs)))
    (folder / "old.json").write_text(json.dumps(old_schema(*pairs)))
    shares = {}
    for reading in ("plus", "base", "plus alone"):
        shares[reading] = share(folder / "new.json", reading)
        assert share(folder / "old.json", reading) == shares[reading]
    assert shares["plus"] == sum(pair == ("pass", "pass") for pair in pairs) / len(pairs)
    assert shares["plus"] <= min(shares["base"], shares["plus alone"])


def test_a_gzipped_file_is_read_whatever_its_name(tmp_path, write):
    plain = write(new_schema(*STATUSES))
    for name in ("x.eval_results.json.gz", "y.json"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        assert share(tmp_path / name, "plus") == 0.25
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(plain.read_bytes())[:-9])
    with pytest.raises(UserError, match=r"cut.json.gz is not a result file of evalplus"):
        count_evalplus(tmp_path / "cut.json.gz", "plus")


BASE_ONLY_OLD = {"eval": {"Mbpp/2": {"nfiles": 1, "base": [["success", []]], "plus": []}}}


BASE_ONLY_NULL = {"eval": {"Mbpp/2": {"nfiles": 1, "base": [["success", None]], "plus": [None]}}}


@pytest.mark.parametrize("content", [new_schema(("pass", None), ("fail", None)), BASE_ONLY_OLD, BASE_ONLY_NULL])
def test_a_file_of_the_base_tests_is_refused_for_plus(write, content):
    path = write(content)
    for reading in ("plus", "plus alone"):
        with pytest.raises(
            UserError, match="made with the base tests only, so it has no plus_status; give --status base"
        ):
            count_evalplus(path, reading)
    assert share(path, "base") in (0.5, 1)


@pytest.mark.parametrize(
    ("content", "reading", "words"),
    [
        (new_schema(("pass", "pass"), ("pass", None)), "plus", "sample 1 of Mbpp/2 in .* has no plus_status"),
        (new_schema(("fail", "pass"), ("fail", None)), "plus", "sample 1 of Mbpp/2 in .* has no plus_status"),
        (new_schema(("pass", "crashed")), "plus", "sample 0 of Mbpp/2 in .* has an unknown 'crashed' as plus_status"),
        (new_schema(("oom", "pass")), "base", "sample 0 of Mbpp/2 in .* has an unknown 'oom' as base_status"),
        (new_schema((None, "pass")), "plus", "has no base_status"),
        ({"eval": {"a": {"base": [["success", []]] * 2, "plus": [["success", []]]}}}, "plus", "2 base and 1 plus"),
        ({"eval": {}}, "plus", "holds no sample of a task"),
        ({"eval": {"a": []}}, "plus", "holds no sample of a task"),
        ({"eval": {"a": [{"result": "pass"}]}}, "plus", "not a result file of evalplus: .* field `base_status`"),
        ({"eval": {"a": [{"base_status": True}]}}, "base", "not a result file of evalplus: Expected `str | null`"),
        ([], "plus", "not a result file of evalplus: Expected `object`"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_and_not_wrong(write, content, reading, words):
    with pytest.raises(UserError, match=words):
        count_evalplus(write(content), reading)


def test_a_folder_gives_its_result_files_unless_it_is_a_run(tmp_path, write):
    names = ["a.eval_results.json", "b_eval_results.json.gz", "eval_results.json"]
    for name in (*names, "noeval_results.json", "other.json"):
        write({}, name)
    assert [path.name for path in result_files(tmp_path)] == names
    assert [label_of(tmp_path / name) for name in names] == ["a", "b", tmp_path.name]
    assert label_of(tmp_path / "vicuna_0.7.json") == "vicuna_0.7.json"
    for folder in ("r/mbpp", "r/humaneval", "r/run"):
        (tmp_path / folder).mkdir(parents=True)
        write({}, f"{folder}/m.eval_results.json")
    (tmp_path / "r" / "run" / "run.json").write_text("{}")
    assert [path.parent.name for path in result_files(tmp_path / "r")] == ["humaneval", "mbpp"]
    (tmp_path / "converted_question_0_sample_0.json").write_text("{}")
    assert result_files(tmp_path) == result_files(tmp_path / "none") == []


@pytest.mark.skipif(not SHARED_PROGRAMS.exists(), reason="needs ../shared/evalplus")
def test_evalplus_s_verdicts_on_published_samples(write):
    """CodeGen's 984 samples for HumanEval: 161 pass base and plus, 163 plus, 184 base."""
    rows = [json.loads(line) for line in gzip.decompress(SHARED_PROGRAMS.read_bytes()).splitlines()]
    tasks = {}
    for row in rows:
        if row["source"] == "CodeGen-16B":
            tasks.setdefault(row["task_id"], []).append(sample(row["base_status"], row["plus_status"]))
    path = write({"eval": tasks})
    found = {reading: int(count_evalplus(path, reading).correct.sum()) for reading in ("plus", "plus alone", "base")}
    assert found == {"plus": 161, "plus alone": 163, "base": 184}
