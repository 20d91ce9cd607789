"""A sweep of alphas around the dial's own routes: a server that answers right the more often the larger alpha is."""

import json
import re
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from unittest.mock import Mock

import pytest
import quick_scripts
from dialed_server import dialed_server
from scripts import ROOT, run_in_process

from analysis import sweep_alphas
from analysis.alpha_runs import STEP
from hindsight import pipeline
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_record
from hindsight.problem_sets.selection import select_problems
from hindsight.sampling.samples import sample_seed
from hindsight.text.uniform_format import render

PROBLEMS, SAMPLES = 2, 3
SIZE = ("--served_name", "m", "--end_idx", PROBLEMS, "--num_samples", SAMPLES, "--ks", 1, SAMPLES)
SOLUTIONS = [
    (problem["question"], json.loads(row["solutions"])[0])
    for problem, row in zip(
        select_problems("lab", "test")[:PROBLEMS],
        map(json.loads, (ROOT / "lab" / "problems.jsonl").read_text().splitlines()),
        strict=False,
    )
]


def is_right(seed, alpha):
    return seed % 10 < 10 * alpha


def answer(request, before, after):
    """Right for one seed in ten per tenth of alpha; the thought has alpha in tenths of words."""
    assert before == after
    if "seed" not in request:
        return "no answer of a run"
    prompt = request["messages"][-1]["content"]
    (program,) = [program for question, program in SOLUTIONS if question in prompt]
    wrong = f"print('wrong {request['seed'] % 3}')"
    return render(
        "so " * round(1 + 10 * before), f"```python\n{program if is_right(request['seed'], before) else wrong}\n```"
    )


@pytest.fixture
def server():
    with dialed_server() as toy:
        toy.text = answer
        yield toy


@pytest.fixture
def quick_steps(monkeypatch, tmp_path):
    """The steps run in processes that start quickly; their names and folders, in order."""
    called, numbers = [], count()

    def run_step(script, *flags, may_fail=False, log=None):
        folder = flags[[number for number, flag in enumerate(flags) if flag in ("--output_dir", "--input_dir")][-1] + 1]
        called.append((script, Path(folder).name))
        return quick_scripts.run(tmp_path / "output" / str(next(numbers)), script, *flags).returncode

    monkeypatch.setattr(pipeline, "run_step", run_step)
    return called


def sweep(server, folder, *flags):
    """Without a picture, unless the flags have `--formats`: drawing takes longer than sampling."""
    own = ("--base_url", server.url, "--output_dir", folder)
    return run_in_process(sweep_alphas, *own, *SIZE, "--formats", *flags)


def expected_share(alpha):
    right = [is_right(sample_seed(0, number, index), alpha) for number in range(PROBLEMS) for index in range(SAMPLES)]
    return sum(right) / len(right)


@pytest.mark.slow
def test_each_alpha_has_its_run_and_its_row_and_nothing_is_sampled_twice(server, quick_steps, tmp_path):
    flags = ("--alphas", 1, 0.4, "--formats", "svg")
    result = sweep(server, tmp_path, *flags)
    assert result.returncode == 0, result.stderr
    assert "pass@1" in (tmp_path / "sweep.svg").read_text()
    sampled = [folder for script, folder in quick_steps if script == STEP]
    assert sampled == ["alpha_1", "alpha_0.4"]
    assert [worker.weights for worker in server.engine.workers] == [0.4, 0.4]
    numbers = json.loads((tmp_path / "sweep.json").read_text())
    estimates = {run["alpha"]: run["estimates"] for run in numbers["runs"]}
    for alpha in (0.4, 1):
        records = [read_record(path) for path in list_files(tmp_path / f"alpha_{alpha:g}", "sample").values()]
        assert len(records) == PROBLEMS * SAMPLES
        assert all(each["merged_from"] == {"base": "B", "finetuned": "F", "alpha": alpha} for each in records)
        assert estimates[alpha]["pass@1"]["mean"] == pytest.approx(expected_share(alpha))
        assert estimates[alpha]["thought"]["mean"] == 1 + 10 * alpha
        assert f"| {alpha:g} | {expected_share(alpha):.3f} [" in result.stdout
    (difference,) = [each for each in numbers["differences"] if each["measure"] == "pass@1"]
    assert (difference["alpha"], difference["minus"]) == (0.4, 1)
    assert difference["mean"] == pytest.approx(expected_share(0.4) - 1)
    answered, report = server.answered, (tmp_path / "sweep.md").read_bytes()
    again = sweep(server, tmp_path, *flags)
    assert (again.returncode, server.answered, again.stdout) == (
        0,
        answered,
        result.stdout[result.stdout.index("| alpha") :],
    )
    assert (tmp_path / "sweep.md").read_bytes() == report


@pytest.mark.slow
def test_a_model_per_alpha_needs_no_dial(quick_steps, tmp_path):
    with dialed_server(load_format="auto") as toy:
        toy.text = lambda request, *_: answer(request, 0.5, 0.5)
        result = sweep(toy, tmp_path, "--alphas", 0.5, "--served_names", "m", "--base_model", "B")
        refused = sweep(toy, tmp_path / "other", "--alphas", 0.5)
    assert result.returncode == 0, result.stderr
    record = read_record(tmp_path / "alpha_0.5" / "question_0_sample_0.json")
    assert record["merged_from"] == {"base": "B", "finetuned": "lab/models/instruct", "alpha": 0.5}
    assert (refused.returncode, "has no dial" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_a_server_is_started_at_the_first_missing_alpha_and_ended(server, quick_steps, monkeypatch, tmp_path):
    """A start is the address of the server that runs."""
    events = []

    def start(model, name, options):
        options.log.touch()
        events.append((model, name, options.merge))
        return Mock(url=server.url)

    monkeypatch.setattr(pipeline, "start", start)
    monkeypatch.setattr(pipeline, "wait_until_up", lambda *_: None)
    monkeypatch.setattr(pipeline, "stop", lambda _: events.append("stopped"))
    flags = (*SIZE, "--alphas", 0.3, "--method", "slerp", "--formats")
    result = run_in_process(sweep_alphas, "--output_dir", tmp_path / "new", *flags)
    assert result.returncode == 0, result.stderr
    merge = {"base": "lab/models/base", "alpha": 0.3, "method": "slerp"}
    assert events == [("lab/models/instruct", "m", merge), "stopped"]
    assert read_record(tmp_path / "new" / "alpha_0.3" / "question_0_sample_0.json")["merged_from"]["alpha"] == 0.3


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--alphas"], "give at least one alpha"),
        (["--alphas", 0.5, 1.5], r"ALPHAS lie in \[0, 1\], not \[0.5, 1.5\]"),
        (["--alphas", 0.5, 0.50], "ALPHAS contains an alpha twice"),
        (["--ks", 11], r"KS are from 1 to NUM_SAMPLES \(10\)"),
        (["--served_names", "a", "b", "--alphas", 0.5], "SERVED_NAMES are 2 names for 1 of ALPHAS"),
        (["--served_names", "a", "--alphas", 0.5], "give its address by --base_url"),
        (["--sampling", "seed"], "SAMPLING has NAME=VALUE, such as seed=1, not 'seed'"),
        (["--formats", "gif"], "FORMATS are pdf, png and svg, not gif"),
        (["--base_url", "http://127.0.0.1:9/v1", "--end_idx", 1], "no server answers at http://127.0.0.1:9/v1"),
        (["--base_model", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_ends_in_one_sentence(flags, sentence, tmp_path):
    result = run_in_process(sweep_alphas, "--output_dir", tmp_path / "new", *flags)
    assert result.returncode == 2 and re.search(sentence, result.stderr), result.stderr
    assert not list((tmp_path).rglob("*question*"))


def samples_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("question_*")}


@pytest.mark.slow
def test_a_killed_sweep_resumes_with_what_is_missing_and_leaves_no_step_behind(server, quick_steps, tmp_path):
    server.seconds = 0.05
    flags = ["--alphas", 0, 1, "--sampling", "concurrency=1"]
    command = [
        sys.executable,
        ROOT / "analysis" / "sweep_alphas.py",
        "--base_url",
        server.url,
        "--output_dir",
        tmp_path,
    ]
    command = list(map(str, [*command, *SIZE, *flags]))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while len(samples_of(tmp_path)) < PROBLEMS * SAMPLES + 2:  # in the middle of the second alpha
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(0.3)
    before, answered = samples_of(tmp_path), server.answered
    assert PROBLEMS * SAMPLES < len(before) < 2 * PROBLEMS * SAMPLES
    time.sleep(0.3)
    assert server.answered == answered, "a sampling step outlived the sweep"
    result = sweep(server, tmp_path, *flags)
    assert result.returncode == 0, result.stderr
    after = samples_of(tmp_path)
    assert len(after) == 2 * PROBLEMS * SAMPLES and before.items() <= after.items()
