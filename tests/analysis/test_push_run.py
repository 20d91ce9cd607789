"""push_run.py and pull_run.py as a user runs them: what load_dataset reads, what comes back, a broken upload."""

import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from curating import PLAIN
from datasets import load_dataset
from scripts import run_in_process, run_script, write_converted
from toy_hub import Repository

import check_converted_samples
import convert_to_data
import format_converter
import pass_at_k_plot
from analysis import pull_run, push_run
from analysis.run_dataset.parquet_files import MARK
from hindsight.files.records import write_json
from hindsight.text.uniform_format import render

ECHO = {"question": "Echo the line.", "input_output": json.dumps({"inputs": ["a\n", "b\n"], "outputs": ["a\n", "b\n"]})}
PROGRAMS = ("print(input())", "print('a')", "print(input(", "print('no')")


def raw_run(folder, programs=PROGRAMS, problems=2, **run):
    """A run of step 1: each program answers each problem; the last answer is cut off before its program."""
    folder.mkdir(parents=True)
    for question in range(problems):
        for sample, program in enumerate(programs):
            text = render(f"Thought {question} {sample}", f"```python\n{program}\n```")
            record = {"prompt": "Solve.", "generated_text": text, "metadata": ECHO, "usage": {"completion_tokens": 9}}
            record |= {"question_id": question, "sample_index": sample, "generation_config": {"seed": sample}}
            write_json(folder / f"question_{question}_sample_{sample}.json", record)
    settings = {"merged_from": ["a", "b", "0.7"], "num_samples": len(programs)}
    made = {"script": "single_model_inference.py", "settings": settings, "models": ["lab-alpha_0.7"], **run}
    write_json(folder / "run.json", made)
    return folder


def judged_run(folder):
    """The same after steps 2 and 3, which leaves one raw answer unconverted."""
    raw_run(folder)
    (folder / "question_1_sample_3.json").write_text(json.dumps({"generated_text": "", "metadata": ECHO}))
    assert run_in_process(format_converter, "--input_dir", folder, "--workers", 1).returncode == 1
    result = run_in_process(check_converted_samples, "--input_dir", folder, "--workers", 1)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return judged_run(tmp_path_factory.mktemp("judged") / "alpha_0.7")


@pytest.fixture
def run(tmp_path, judged):
    """A copy of the judged run."""
    return shutil.copytree(judged, tmp_path / "runs" / "alpha_0.7")


def push(*folders, to=None, flags=()):
    target = ["--to_folder", to] if to else []
    return run_in_process(push_run, "--input_dirs", *folders, *target, *flags)


def pull(dataset, output, *flags):
    return run_in_process(pull_run, "--dataset", dataset, "--output_dir", output, *flags)


def files(folder):
    """What has to come back: verdicts.json is step 5's cache, and .lock a lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("verdicts.json", ".lock")}


def test_what_is_written_loads_as_a_dataset_with_a_row_per_answer(run, tmp_path):
    other = raw_run(tmp_path / "runs" / "alpha_0.9+mlp=0.3", PROGRAMS[:1], models=["other"])
    result = push(run, other, to=tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert "8 answers (2 correct, 1 not converted, 5 wrong)" in result.stdout
    loaded = load_dataset(str(tmp_path / "data"), "alpha_0.7", split="train", cache_dir=str(tmp_path / "cache"))
    rows = {(row["question_id"], row["sample_index"]): row for row in loaded}
    assert len(rows) == 8
    first, last = rows[0, 0], rows[1, 3]
    assert (first["model"], first["alpha"], first["outcome"]) == ("lab-alpha_0.7", "0.7", "correct")
    assert first["converted_text"] == render("Thought 0 0", "```python\nprint(input())\n```")
    assert json.loads(first["test_results"])[0]["passed"] is True
    assert (last["outcome"], last["converted_text"], last["correctness"]) == ("not converted", None, None)
    raw = load_dataset(str(tmp_path / "data"), other.name, split="train", cache_dir=str(tmp_path / "cache"))
    assert raw["outcome"] == ["not converted"] * 2 and raw["model"] == ["other"] * 2


def test_the_card_says_what_was_run_and_what_came_out(run, tmp_path):
    other = raw_run(tmp_path / "runs" / "raw", PROGRAMS[:1], missing=3, failed={"timeout": 3})
    push(run, other, to=tmp_path / "data")
    card = (tmp_path / "data" / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert [config["config_name"] for config in metadata["configs"]] == ["alpha_0.7", "raw"]
    assert "| alpha_0.7 | lab-alpha_0.7 (merged from a and b) | 0.7 | not known | 2 | 8 |" in card
    assert "| alpha_0.7 | 2 | 5 | 1 |" in card  # correct, wrong, not converted
    assert "| alpha_0.7 | 4 | 0.250 [" in card  # one of four samples of each problem is correct
    assert "| raw | not all answers are judged |  |" in card
    assert "- raw: 3 samples have no answer (timeout: 3)" in card
    assert '"num_samples": 4' in card


def test_a_run_comes_back_byte_for_byte_and_every_step_goes_on_with_it(run, judged, tmp_path):
    embedded = '{"generated_embedding": [0.1, 1e-7], "correctness": null}'
    (run / "converted_question_0_sample_0_with_embeddings.json").write_text(embedded)
    (run / "question_0_sample_1.json").write_text('{"generated_text": "as the original \\u00fc", "x": 1}')
    before = files(run)
    assert "8 answers (2 correct," in push(run, to=tmp_path / "data").stdout
    assert pull(tmp_path / "data", tmp_path / "back").returncode == 0
    back = tmp_path / "back" / "alpha_0.7"
    assert files(back) == before

    result = run_in_process(format_converter, "--input_dir", back, "--workers", 1)
    assert "8 answers, 7 converted before" in result.stdout
    assert run_in_process(check_converted_samples, "--input_dir", back, "--workers", 1).returncode == 0
    plots = []
    for folder in (judged, back):
        flags = ["--input_dirs", folder, "--ks", 1, 2, "--output", tmp_path / "plot", "--formats", "png"]
        assert run_in_process(pass_at_k_plot, *flags).returncode == 0
        plots.append((tmp_path / "plot.csv").read_text())
    assert plots[0] == plots[1]
    flags = ["--input_dirs", back, "--output_dir", tmp_path / "rows", "--workers", 1, "--other_prompts", *PLAIN]
    result = run_in_process(convert_to_data, *flags)
    assert result.returncode == 0 and "2 rows from 1 problems" in result.stdout, result.stderr


def test_pulling_again_keeps_what_is_there_and_never_writes_over_another_run(run, tmp_path):
    push(run, to=tmp_path / "data")
    assert "already there" not in pull(tmp_path / "data", tmp_path / "back").stdout
    assert "17 files, already there" in pull(tmp_path / "data", tmp_path / "back").stdout
    changed = tmp_path / "back" / "alpha_0.7" / "question_0_sample_0.json"
    changed.write_text("{}")
    result = pull(tmp_path / "data", tmp_path / "back")
    assert (result.returncode, "exists and holds something else" in result.stderr) == (2, True)
    assert changed.read_text() == "{}"


def test_raw_answers_that_the_converter_read_elsewhere_are_part_of_the_run(tmp_path):
    raw, output = raw_run(tmp_path / "raw"), tmp_path / "converted"
    flags = ["--input_dir", raw, "--output_dir", output, "--workers", 1]
    assert run_in_process(format_converter, *flags).returncode == 0
    assert push(output, to=tmp_path / "data").returncode == 0
    assert pull(tmp_path / "data", tmp_path / "back").returncode == 0
    assert len(list((tmp_path / "back" / "converted").glob("question_*"))) == 8
    assert pull(tmp_path / "data", tmp_path / "back").returncode == 0  # its converter's folder still exists


def test_broken_files_are_named_and_come_back_too(run, tmp_path):
    broken = {
        "converted_question_0_sample_1.json": b'{"converted_text": "cut o',
        "question_0_sample_2.json": b"\0" * 50,
    }
    for name, content in broken.items():
        (run / name).write_bytes(content)
    (run / "notes.txt").write_text("mine")
    before = files(run)
    result = push(run, to=tmp_path / "data")
    assert result.returncode == 1
    assert all(f"{run / name}" in result.stdout for name in broken)
    assert "not part of a run, so left out: notes.txt" in result.stdout
    assert "- alpha_0.7: 2 broken files" in (tmp_path / "data" / "README.md").read_text()
    pull(tmp_path / "data", tmp_path / "back")
    assert files(tmp_path / "back" / "alpha_0.7") == {
        name: each for name, each in before.items() if name != "notes.txt"
    }


def test_the_same_run_gives_the_same_bytes_and_mended_files_go(run, tmp_path):
    push(run, to=tmp_path / "one")
    (run / "question_0_sample_2.json").rename(tmp_path / "whole")
    (run / "question_0_sample_2.json").write_bytes(b"")
    push(run, to=tmp_path / "two")
    assert (tmp_path / "two" / "alpha_0.7" / "question_0_sample_2.json").exists()
    (tmp_path / "whole").rename(run / "question_0_sample_2.json")
    push(run, to=tmp_path / "two")
    one, two = (files(tmp_path / name / "alpha_0.7") for name in ("one", "two"))
    assert one == two and set(one) == {"answers.parquet", "run.json", "no_answers.json"}


def test_a_dataset_that_was_changed_is_not_taken_for_the_run(run, tmp_path):
    push(run, to=tmp_path / "data")
    path = tmp_path / "data" / "alpha_0.7" / "answers.parquet"
    table = pq.read_table(path)
    column = pa.array(["better " * 20] * len(table))
    changed = table.set_column(table.schema.get_field_index("generated_text"), "generated_text", column)
    mark = {MARK: pq.read_metadata(path).metadata[MARK]}
    with pq.ParquetWriter(path, changed.schema) as writer:
        writer.write_table(changed)
        writer.add_key_value_metadata(mark)
    result = pull(tmp_path / "data", tmp_path / "back")
    assert (result.returncode, "it has been changed since" in result.stderr) == (2, True)
    assert not list((tmp_path / "back").iterdir())


def test_runs_go_to_the_hub_and_back_and_an_unchanged_one_makes_no_commit(run, hub, tmp_path):
    other = raw_run(tmp_path / "runs" / "raw")
    result = push(run, other, flags=["--push_to_hub", "me/runs"])
    assert result.returncode == 0, result.stderr
    assert f"pushed to {hub.url}/datasets/me/runs\n" in result.stdout
    assert hub.repositories["dataset", "me/runs"].visibility == "private"
    assert pull("me/runs", tmp_path / "back").returncode == 0
    assert files(tmp_path / "back" / "alpha_0.7") == files(run) and files(tmp_path / "back" / "raw") == files(other)
    assert pull("me/runs@main", tmp_path / "one", "--runs", "raw").returncode == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["raw"]
    before = hub.commits()
    result = push(run, other, flags=["--push_to_hub", "me/runs"])
    assert (result.returncode, hub.commits()) == (0, before)
    assert "nothing has changed in" in result.stdout


def test_a_broken_upload_of_runs_resumes_with_what_is_missing(run, hub, tmp_path):
    other = raw_run(tmp_path / "runs" / "raw")
    hub.drop = 2
    result = push(run, other, flags=["--push_to_hub", "me/runs"])
    assert (result.returncode, len(hub.uploads)) == (2, 1)
    assert "the connection to me/runs broke off" in result.stderr.splitlines()[-1]
    hub.drop, before = 0, hub.puts
    assert push(run, other, flags=["--push_to_hub", "me/runs"]).returncode == 0
    assert hub.puts - before == 1
    assert {"alpha_0.7/answers.parquet", "raw/answers.parquet"} < set(hub.files("me/runs", "dataset"))


@pytest.mark.slow  # starts the script
def test_runs_go_to_the_hub_by_xet_as_it_is_installed(run, hub, tmp_path):
    pytest.importorskip("hf_xet")
    hub.store = tmp_path / "store"
    environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "right", "HF_XET_CACHE": str(tmp_path / "xet")}
    environment |= {"HF_HUB_DISABLE_XET": "0", "HF_HUB_OFFLINE": "0"}
    flags = ["--input_dirs", run, "--to_folder", tmp_path / "data", "--push_to_hub", "me/runs"]
    result = run_script("analysis/push_run.py", *flags, **environment)
    assert result.returncode == 0, result.stderr
    content = (tmp_path / "data" / "alpha_0.7" / "answers.parquet").read_bytes()
    stored = hub.files("me/runs", "dataset")["alpha_0.7/answers.parquet"]
    assert (stored.oid, hub.puts) == (hashlib.sha256(content).hexdigest(), 0)
    assert list(hub.store.rglob("default.*"))  # Xet's blocks of chunks, compressed
    before = hub.commits()
    result = push(run, flags=flags[2:])
    assert (result.returncode, hub.commits()) == (0, before), result.stderr


def test_a_dataset_keeps_every_run_that_it_has(run, hub, tmp_path):
    other = raw_run(tmp_path / "runs" / "raw")
    assert push(run, flags=["--push_to_hub", "me/runs"]).returncode == 0
    result = push(other, flags=["--push_to_hub", "me/runs"])
    assert (result.returncode, "me/runs also has the run alpha_0.7: give its folder too" in result.stderr) == (2, True)
    (run / "question_0_sample_2.json").write_bytes(b"")
    assert push(run, other, flags=["--push_to_hub", "me/runs"]).returncode == 1
    assert "alpha_0.7/question_0_sample_2.json" in hub.files("me/runs", "dataset")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--input_dirs"], "INPUT_DIRS names no folder"),
        (["--to_folder", ""], "give --push_to_hub OWNER/NAME, or --to_folder FOLDER"),
        (["--input_dirs", "no/such"], "there is no folder no/such"),
        (["--input_dirs", "docs"], "docs is not a run folder: it has no answers"),
        (["--input_dirs", "a/run", "b/run"], "INPUT_DIRS has two runs named run: rename one of the folders"),
        (["--input_dirs", "a/what?"], "a/what? cannot be part of a dataset"),
        (["--to_folder", "docs"], "docs holds files that push_run.py did not write (choosing_alpha.md)"),
        (["--to_folder", "README.md"], "README.md is a file"),
        (["--push_to_hub", "runs"], "'runs' lacks its owner"),
        (["--push_to_hub", "me/other"], "me/other holds files that push_run.py did not write (train.csv)"),
    ],
)
def test_bad_input_to_a_push_is_one_sentence(flags, sentence, hub, checked, tmp_path):
    hub.repositories["dataset", "me/other"] = Repository(None)
    hub.repositories["dataset", "me/other"].branches["main"].files["train.csv"] = b"a,b"
    result = run_in_process(push_run, "--input_dirs", checked, "--to_folder", tmp_path / "data", *flags)
    lines = result.stderr.strip().splitlines()
    assert (result.returncode, len(lines), sentence in lines[0]) == (2, 1, True), result.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "give --dataset OWNER/NAME, or a folder"),
        (["--dataset", "no/such/folder"], "there is no dataset folder no/such/folder"),
        (["--dataset", "docs"], "docs was not made by push_run.py: it has no run"),
        (["--dataset", "me/none"], "the Hub has no dataset me/none, or it is private"),
        (["--dataset", "me/model"], "the Hub has no dataset me/model: it is a model"),
        (["--dataset", "me/other"], "me/other was not made by push_run.py: it has no run"),
        (["--dataset", "me/other", "--runs", "raw"], "me/other has no run raw by push_run.py"),
        (["--dataset", "me/other@v2"], "the Hub did not accept me/other: "),
    ],
)
def test_bad_input_to_a_pull_is_one_sentence(flags, sentence, hub, tmp_path):
    hub.repositories["model", "me/model"] = Repository(None)
    hub.repositories["dataset", "me/other"] = Repository(None)
    hub.repositories["dataset", "me/other"].branches["main"].files["a/answers.parquet"] = b"no Parquet"
    result = run_in_process(pull_run, "--output_dir", tmp_path / "back", *flags)
    lines = result.stderr.strip().splitlines()
    assert (result.returncode, sentence in lines[-1]) == (2, True), result.stderr
    assert not (tmp_path / "back").exists()


def test_a_run_without_one_whole_answer_is_refused(tmp_path):
    folder = tmp_path / "run"
    write_converted(folder, 1, 0, "print()", ECHO).write_bytes(b"{")
    result = push(folder, to=tmp_path / "data")
    assert (result.returncode, "no answer of" in result.stderr) == (2, True)
