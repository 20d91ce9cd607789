"""The whole pipeline on real vLLM servers and the lab's models, as `make demo` runs it."""

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from scripts import DEMO_PROBLEMS, DEMO_SAMPLES, DEMO_SIZE, ROOT, run_in_process, run_script

from hindsight import pipeline
from hindsight.conversion.reader import read
from hindsight.curation.row_files import read_rows
from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_record
from hindsight.files.runs import read_run
from hindsight.servers.vllm_process import ServeOptions, serve, start
from hindsight.text.program_choice import ProgramTarget, find_program
from lab import demo

RUNS = ("base", "instruct", "switching", "alpha_0.7")


def records_of(folder, kind):
    return [read_record(path) for path in list_files(folder, kind).values()]


@pytest.mark.server
def test_every_run_has_every_sample_with_its_keys(lab_runs):
    keys = {"prompt", "generated_text", "metadata", "question_id", "sample_index", "generation_config"}
    for run in RUNS:
        records = records_of(lab_runs / run, "sample")
        assert len(records) == DEMO_PROBLEMS * DEMO_SAMPLES
        for record in records:
            assert keys | {"finish_reason", "usage"} <= set(record)
            assert record["finish_reason"] in ("stop", "length")
            assert record["usage"]["completion_tokens"] > 0
            assert "solutions" not in record["metadata"]


@pytest.mark.server
def test_every_converted_answer_has_a_verdict_and_the_instruct_model_solves_something(lab_runs):
    for run in RUNS:
        for record in records_of(lab_runs / run, "converted"):
            assert record["correctness"] in (True, False)
            assert bool(record["correctness_reason"]) is not record["correctness"]
            assert read(record["converted_text"]).rule == "sections"
    assert any(record["correctness"] for record in records_of(lab_runs / "instruct", "converted"))


@pytest.mark.server
def test_a_switching_answer_is_its_segments_in_turn(lab_runs):
    for record in records_of(lab_runs / "switching", "sample"):
        assert record["generation_config"]["joined_by"] == "tokens"
        roles = [segment["model"] for segment in record["segments"]]
        assert roles == ["instruct", "base"] * (len(roles) // 2) + ["instruct"] * (len(roles) % 2)
        end = len("<begin_of_slow_thought>\n\n")
        for segment in record["segments"]:
            assert segment["start"] == end
            end = segment["end"]
        assert end == len(record["generated_text"])
        for segment in record["segments"][:-1]:
            assert segment["tokens"] == int(record["generation_config"][segment["model"]]["tokens_a_turn"])
        assert sum(segment["tokens"] for segment in record["segments"]) == record["usage"]["completion_tokens"]


@pytest.mark.server
def test_the_demo_ends_with_the_folder_the_table_and_the_picture(lab_runs):
    text = (lab_runs / "demo.txt").read_text()
    tail = text[text.rindex("pass_at_k_plot.py") :]
    assert "pass@1" in tail
    for words in (*RUNS, str(lab_runs), "pass_at_k.png"):
        assert words in tail
    assert (lab_runs / "pass_at_k.png").stat().st_size > 10_000


@pytest.mark.server
def test_the_dataset_holds_the_merged_models_different_correct_answers_to_training_problems(lab_runs):
    report = json.loads((lab_runs / "data" / "hindsight.report.json").read_text())
    rows = [row.answer for file in report["files"].values() for row in read_rows(lab_runs / "data" / file["name"])]
    correct = [record for record in records_of(lab_runs / "alpha_0.7_train", "converted") if record["correctness"]]
    assert {record["metadata"]["split"] for record in correct} == {"train"}
    assert len(rows) == len(set(rows)) > 0 and set(rows) <= {record["converted_text"] for record in correct}
    assert sum(counts[0] for counts in report["counts"].values()) == report["folders"][0]["answers"]


@pytest.mark.server
def test_the_judge_passes_every_row_of_the_dataset_again(lab_runs, tmp_path):
    report = json.loads((lab_runs / "data" / "hindsight.report.json").read_text())
    rows = [row for file in report["files"].values() for row in read_rows(lab_runs / "data" / file["name"])]
    sources = [json.loads(line) for line in (lab_runs / "data" / "hindsight.sources.jsonl").read_text().splitlines()]
    for number, (row, source) in enumerate(zip(rows, sources, strict=True)):
        origin = json.loads(Path(source["file"]).read_text())["metadata"]
        assert row.prompt.find(origin["question"].strip()) > 0
        record = {"converted_text": row.answer, "metadata": origin}
        (tmp_path / f"converted_question_{source['question_id']}_sample_{number}.json").write_text(json.dumps(record))
    result = run_script("check_converted_samples.py", "--input_dir", tmp_path)
    assert (result.returncode, f"{len(rows)} of {len(rows)} correct" in result.stdout) == (0, True), result.stdout


@pytest.mark.server
def test_run_files_hold_every_step(lab_runs):
    for run in RUNS:
        content = read_run(lab_runs / run)
        assert {"format_converter.py", "check_converted_samples.py"} <= set(content["steps"])
        assert content["ended"] is not None
        assert content["problems"]["count"] == DEMO_PROBLEMS


@pytest.mark.server
def test_a_second_demo_repeats_nothing(lab_runs, forked_steps):
    before = {path: path.stat().st_mtime_ns for path in lab_runs.glob("*/*question*.json")}
    result = run_in_process(demo, "--runs_dir", lab_runs, *DEMO_SIZE)
    assert result.returncode == 0, result.stderr
    assert "four models" in result.stdout and "starting vLLM" not in result.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    wrong = subprocess.run([sys.executable, "-m", "lab.demo", "--alphas", "1"], cwd=ROOT, capture_output=True)
    assert (wrong.returncode, b"unrecognized arguments: --alphas" in wrong.stderr) == (2, True), "a start as a user's"


@pytest.mark.parametrize("running", ["", "http://base/v1"])
def test_the_demo_starts_and_ends_only_the_missing_servers_each_with_its_share_of_the_cores(
    running, monkeypatch, tmp_path
):
    """The servers here are names, and the steps are recorded; `lab_runs` starts a real one for the merged model."""
    events = []
    monkeypatch.setattr(demo, "divide_threads", lambda parts: 6 // parts)
    monkeypatch.setattr(pipeline, "start", lambda _, name, options: Mock(url=f"{name}:{options.threads}", model=name))
    monkeypatch.setattr(pipeline, "wait_until_up", lambda server, deadline: events.append(("up", server.model)))
    monkeypatch.setattr(pipeline, "stop", lambda server: events.append(("stop", server.model)))
    monkeypatch.setattr(pipeline, "run_step", lambda script, *flags, **_: events.append((script, flags[-2:-6:-2])))
    monkeypatch.setattr(pipeline.SamplingRun, "is_complete", lambda run: run.folder.name == "instruct")
    options = demo.DemoOptions(0.7, num_samples=1, end_idx=1, base_url=running, instruct_url="", start_deadline=60)
    demo.sample_parents(tmp_path, options)
    started = ["lab-base"] * (not running) + ["lab-instruct"]
    steps = [("single_model_inference.py", ("--output_dir", "--base_urls"))]
    steps += [("switching_inference.py", ("--output_dir", "--instruct_model_urls"))]
    up, stopped = ([(event, name) for name in started] for event in ("up", "stop"))
    assert events == [*up, *steps, *stopped]


@pytest.mark.parametrize(
    ("status", "may_fail", "ends"), [(0, False, False), (1, True, False), (1, False, True), (2, True, True)]
)
def test_a_step_ends_the_pipeline_unless_it_may_leave_items_out(status, may_fail, ends, tmp_path):
    script, log = tmp_path / "step.py", tmp_path / "log.txt"
    script.write_text(f"print('some items failed')\nraise SystemExit({status})")
    if ends:
        with pytest.raises(UserError, match=f"step.py ended with status {status}; see {log}"):
            pipeline.run_step(str(script), may_fail=may_fail, log=log)
    else:
        assert pipeline.run_step(str(script), may_fail=may_fail, log=log) == status
    assert log.read_text() == "some items failed\n"


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cut", "rewrite"])
def test_a_real_models_reformatting_is_kept_only_if_the_program_is_unchanged(lab_servers, tmp_path, mode, forked_steps):
    """The lab's instruct model was never taught to reformat, but vLLM enforces the JSON schema."""
    program = "```python\nprint(input())\n```"
    for number in range(6):
        text = f"Try {number}.\n{program}\nNo, shorter:\n{program}"
        record = {"prompt": "", "generated_text": text, "metadata": {}, "question_id": number, "sample_index": 0}
        (tmp_path / f"question_{number}_sample_0.json").write_text(json.dumps(record))
    flags = ["--llm_url", lab_servers["instruct"], "--llm_mode", mode, "--llm_max_tokens", 120, "--retries", 1]
    flags += ["--cache", tmp_path / "cache"]
    result = run_script("format_converter.py", "--input_dir", tmp_path, *flags)
    kept = records_of(tmp_path, "converted")
    assert f"{len(kept)} converted into {tmp_path}, {6 - len(kept)} not" in result.stdout
    assert result.returncode == (0 if len(kept) == 6 else 1), result.stderr
    assert "does not accept a JSON schema" not in result.stdout and "not valid JSON" not in result.stdout
    for record in kept:
        assert record["conversion"]["how"] == "llm"
        assert find_program(record["converted_text"], ProgramTarget()).strip() in record["generated_text"]


def test_a_server_that_cannot_start_reports_why():
    options = ServeOptions(command=f"{sys.executable} -c 'import sys; sys.exit(\"{{model}} has no weights\")'")
    with (
        pytest.raises(UserError, match="vLLM ended with status 1; its last lines:\nm has no weights"),
        serve("m", options=options),
    ):
        pass


def test_a_port_in_use_is_refused_before_anything_starts(toy):
    port = int(toy.url.split(":")[2].split("/")[0])
    with pytest.raises(UserError, match=f"cannot listen on port {port}: Address already in use"):
        start(ROOT / "lab" / "models" / "base", options=ServeOptions(port=port))
