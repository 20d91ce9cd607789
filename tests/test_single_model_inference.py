"""Step 1a as a user runs it, with the toy server: it records what it sent, loses no answer and invents none."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import quick_scripts
from problem_rows import MBPP, write
from quick_scripts import SINGLE, everything
from scripts import ROOT, run_in_process

import single_model_inference
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_record


@pytest.fixture
def problems_of_evalplus(tmp_path):
    """A file with one task of MBPP+."""
    return write(tmp_path / "MbppPlus.jsonl", MBPP)


def contents(folder):
    return {path.name: json.loads(path.read_text()) for path in list_files(folder, "sample").values()}


def test_every_sample_has_a_file_and_its_own_seed(sample, tmp_path):
    result = sample()
    assert (result.returncode, "6 samples written, 0 missing" in result.stdout) == (0, True), result.stderr
    records = contents(tmp_path / "run").values()
    assert len({record["generation_config"]["seed"] for record in records}) == 6
    for record in records:
        assert f"seed {record['generation_config']['seed']}\n" in record["generated_text"]
        assert (record["finish_reason"], record["usage"]["prompt_tokens"]) == ("stop", 7)
        assert "input_output" not in record["metadata"]


def test_the_recorded_settings_are_those_that_were_sent(sample, toy, tmp_path):
    sample("--instruct_temperature", 0.3, "--instruct_top_p", 0.9, "--max_tokens", 300)
    sent = {request["seed"]: request for request in toy.requests}
    for record in contents(tmp_path / "run").values():
        config = record["generation_config"]
        request = sent[config["seed"]]
        assert {**config, "messages": record["prompt"]} == request
        assert (config["temperature"], config["top_p"], config["max_tokens"]) == (0.3, 0.9, 300)
        assert [message["role"] for message in record["prompt"]] == ["system", "user"]


def test_a_base_model_gets_a_text_and_its_answer_starts_with_the_thought_tag(sample, toy, tmp_path):
    toy.answer = lambda request: "hm\n\n<end_of_slow_thought>"
    assert sample("--model", "base").returncode == 0
    record = next(iter(contents(tmp_path / "run").values()))
    assert record["generated_text"] == "<begin_of_slow_thought>\n\nhm\n\n<end_of_slow_thought>"
    assert record["prompt"].endswith("Assistant: <begin_of_slow_thought>\n\n")
    config = record["generation_config"]
    assert {**config, "prompt": record["prompt"]} in toy.requests
    assert (config["model"], config["temperature"], config["stop"]) == ("lab-base", 0.8, ["<end_of_solution>"])


def test_the_given_parents_of_a_merged_model_are_recorded(sample, tmp_path):
    assert sample("--merged_from", "a/base", "a/finetuned", 0.7).returncode == 0
    for record in contents(tmp_path / "run").values():
        assert record["merged_from"] == {"base": "a/base", "finetuned": "a/finetuned", "alpha": 0.7}
    run = read_record(tmp_path / "run" / "run.json")
    assert run["settings"]["merged_from"] == ["a/base", "a/finetuned", "0.7"]
    other = sample("--merged_from", "a/base", "a/finetuned", 0.9)
    assert (other.returncode, "merged_from was" in other.stderr) == (2, True)
    by_part = sample("--merged_from", "a/base", "a/finetuned", 0.7, "mlp:0.9", "--output_dir", tmp_path / "by_part")
    assert by_part.returncode == 0, by_part.stderr
    for record in contents(tmp_path / "by_part").values():
        assert record["merged_from"]["alpha"] == {"alpha": 0.7, "parts": ["mlp:0.9"]}
    wrong = sample("--merged_from", "a/base", 0.7)
    assert (wrong.returncode, "MERGED_FROM is a base, a fine-tuned model and an alpha" in wrong.stderr) == (2, True)


def test_a_larger_number_of_samples_later_adds_only_the_new_ones(sample, toy, tmp_path):
    sample()
    before = contents(tmp_path / "run")
    result = sample("--num_samples", 3)
    assert "3 samples written" in result.stdout
    assert len(toy.requests) == 9
    after = contents(tmp_path / "run")
    assert {name: after[name] for name in before} == before


def test_a_finished_run_needs_no_server(sample, toy):
    sample()
    result = sample("--base_urls", "http://127.0.0.1:9/v1")
    assert (result.returncode, "0 samples written, 0 missing" in result.stdout) == (0, True)


@pytest.mark.slow
def test_a_run_killed_five_times_and_resumed_equals_an_undisturbed_run(sample, toy, tmp_path):
    flags = ["--end_idx", 20, "--num_samples", 10, "--concurrency", 4]
    sample(*flags, "--output_dir", tmp_path / "whole")
    toy.delay, killed = 0.01, tmp_path / "killed"
    urls = ["--base_urls", toy.url, "--output_dir", killed]
    quick_scripts.kill_at_moments(tmp_path / "output", toy, SINGLE, *urls, *flags)
    assert 0 < len(list_files(killed, "sample")) < 200
    assert sample(*flags, "--output_dir", killed).returncode == 0
    assert everything(killed) == everything(tmp_path / "whole")


def test_ctrl_c_ends_with_a_sentence_and_keeps_written_samples(toy, tmp_path):
    toy.delay = 0.05
    flags = ["--base_urls", toy.url, "--output_dir", tmp_path / "run", "--concurrency", "2"]
    command = [sys.executable, ROOT / SINGLE, *flags]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        while len(toy.requests) < 6 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, "stopped; files already written are kept" in errors) == (130, True)
    assert "Traceback" not in errors
    assert len(contents(tmp_path / "run")) >= 2


def test_a_refused_request_is_counted_and_the_other_samples_are_written(sample, toy, tmp_path):
    refused = []

    def fault(request):
        refused.append(request["seed"])
        return 400 if request["seed"] == refused[0] else None

    toy.fault = fault
    result = sample()
    assert (result.returncode, "5 samples written, 1 missing" in result.stdout) == (1, True)
    assert f"1 failed: {toy.url}: status 400: " in result.stdout
    assert len(contents(tmp_path / "run")) == 5
    toy.fault = lambda request: None
    assert sample().returncode == 0
    assert len(contents(tmp_path / "run")) == 6


def test_a_reply_that_names_another_model_is_recorded_and_reported(sample, toy, tmp_path):
    toy.rewrite = lambda path, body: {**body, "model": "v1" if toy.requests else "v0"}
    result = sample()
    assert f'{toy.url} was asked for lab-instruct and names "v0", "v1" in its replies' in result.stdout
    assert {record["answered_as"] for record in contents(tmp_path / "run").values()} == {"v1"}


def test_logprobs_are_recorded_a_broken_reply_is_requested_again_and_a_server_without_them_refused(
    sample, toy, tmp_path
):
    broken = [1] * 4

    def drop(path, body):
        if "choices" in body and toy.requests and broken and broken.pop():
            body["choices"][0]["logprobs"] = None
        return body

    toy.rewrite = drop
    assert sample("--logprobs", 1).returncode == 0
    for record in contents(tmp_path / "run").values():
        assert record["logprobs"] == [-0.5] * record["usage"]["completion_tokens"]
    broken += [1] * 4
    result = sample("--logprobs", 1, "--output_dir", tmp_path / "none")
    assert (result.returncode, "sent no log-probabilities: give --logprobs 0" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--base_urls", "http://127.0.0.1:9/v1"], "): start it, or correct the address"),
        (["--base_urls", "http://me:secret@127.0.0.1:9/v1"], "an address has a user or a password"),
        (["--instruct_model", "other"], "has no model 'other'; it has lab-base, lab-instruct"),
        (["--model", "chat"], "MODEL is base or instruct, not 'chat'"),
        (["--problems", "missing.jsonl"], "there is no problem file missing.jsonl"),
        (["--difficulty", "IMPOSSIBLE"], "has no problem of split 'test' and difficulty 'IMPOSSIBLE'"),
        (["--begin_idx", "100000"], "leave none of"),
        (["--begin_idx", "-2", "--end_idx", "0"], "BEGIN_IDX is at least 0, not -2"),
        (["--end_idx", "-1"], "END_IDX is at least 0, not -1"),
        (["--num_samples", "1000001"], "NUM_SAMPLES is at least 1 and at most 1000000, not 1000001"),
        (["--max_tokens", "0"], "an answer has at least 1 token, not 0"),
        (["--instruct_temperature", "nan"], "a temperature is a finite number of at least 0, not nan"),
        (["--instruct_top_p", "1.5"], "top_p lies in [0, 1], not 1.5"),
        (["--request_timeout", "0"], "REQUEST_TIMEOUT is above 0, not 0"),
        (["--output_dir", ""], "OUTPUT_DIR is empty"),
        (["--output_dir", "README.md", "--base_urls", "http://127.0.0.1:9/v1"], "README.md is not a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_folder(sample, tmp_path, flags, sentence):
    result = sample(*flags)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert sentence in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_made_with_other_settings_is_refused_before_a_server_is_asked_and_untouched(sample, toy, tmp_path):
    sample()
    toy.stop()
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    result = sample("--seed", 1, "--num_samples", 3)
    assert (result.returncode, "seed was 0, is 1" in result.stderr) == (2, True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_broken_file_is_reported_and_left_unchanged(sample, tmp_path):
    sample()
    path, other = list(list_files(tmp_path / "run", "sample").values())[:2]
    path.write_text('{"prompt": ')
    other.unlink()
    other.mkdir()
    result = sample()
    assert (result.returncode, "0 samples written, 2 missing" in result.stdout) == (1, True)
    assert f"{path} is not valid JSON" in result.stdout and f"{other} is not valid JSON" in result.stdout
    assert path.read_text() == '{"prompt": '


def test_a_folder_that_disappears_ends_with_a_sentence(sample, toy, tmp_path):
    toy.fault = lambda request: shutil.rmtree(tmp_path / "run", ignore_errors=True)
    result = sample()
    assert (result.returncode, "No such file or directory" in result.stderr) == (2, True)


def test_a_full_disk_ends_with_a_sentence_and_whole_files(sample, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: it takes root")
    try:
        result = sample("--output_dir", small / "run", "--end_idx", 60)
        assert result.returncode == 2, result.stdout
        assert "No space left on device" in result.stderr
        for path in list_files(small / "run", "sample").values():
            read_record(path, ("generated_text",))
    finally:
        subprocess.run(["umount", small], check=True)


def test_evalplus_prompts_are_sent_with_the_beginning_of_the_answer_and_recorded(toy, tmp_path, problems_of_evalplus):
    toy.answer = lambda request: "def add(a, b):\n    return a + b"
    flags = ("--problems", problems_of_evalplus, "--num_samples", 1, "--prompt_style", "evalplus")
    result = run_in_process(single_model_inference, "--base_urls", toy.url, "--output_dir", tmp_path / "run", *flags)
    assert result.returncode == 0, result.stderr
    (record,) = contents(tmp_path / "run").values()
    (request,) = toy.requests
    assert request == {**record["generation_config"], "messages": record["prompt"]}
    assert (request["continue_final_message"], request["add_generation_prompt"]) == (True, False)
    assert request["stop"] == record["stop_words"][:4] and "\n```\n" in request["stop"]  # a server takes no more
    assert request["messages"][-1]["role"] == "assistant"
    assert (record["prompt_style"], record["continues"]) == ("evalplus", record["prompt"][-1]["content"])
    assert record["metadata"]["task_id"] == "Mbpp/2"


def test_a_base_model_continues_evalplus_prompt_as_text(toy, tmp_path, problems_of_evalplus):
    toy.answer = lambda request: "def add(a, b):\n    return a + b\n"
    flags = ("--problems", problems_of_evalplus, "--num_samples", 1, "--prompt_style", "evalplus", "--model", "base")
    result = run_in_process(single_model_inference, "--base_urls", toy.url, "--output_dir", tmp_path / "run", *flags)
    assert result.returncode == 0, result.stderr
    (record,) = contents(tmp_path / "run").values()
    assert toy.requests == [{**record["generation_config"], "prompt": record["prompt"]}]
    assert record["continues"] == record["prompt"] and record["prompt"].endswith('== 3\n"""\n')
    assert record["generated_text"] == "def add(a, b):\n    return a + b\n"
    assert "\nassert" in record["generation_config"]["stop"]
    assert "include_stop_str_in_output" not in record["generation_config"]


def test_a_base_model_is_shown_examples_and_an_instruct_model_is_not(toy, tmp_path, problems_of_evalplus):
    toy.answer = lambda request: "def add(a, b):\n    return a + b\n"
    example = {"task_id": 10, "text": "Ten.", "code": "def ten():\n  return 10", "test_list": ["assert ten() == 10"]}
    flags = ("--problems", problems_of_evalplus, "--num_samples", 1, "--prompt_style", "few_shot")
    flags = (*flags, "--examples", write(tmp_path / "ten.jsonl", example), "--output_dir", tmp_path / "run")
    result = run_in_process(single_model_inference, "--base_urls", toy.url, *flags)
    assert (result.returncode, "for a base model to continue: give --model base" in result.stderr) == (2, True), (
        result.stderr
    )
    result = run_in_process(single_model_inference, "--base_urls", toy.url, *flags, "--model", "base")
    assert result.returncode == 0, result.stderr
    (record,) = contents(tmp_path / "run").values()
    assert toy.requests == [{**record["generation_config"], "prompt": record["prompt"]}]
    assert "  return 10\n[DONE]\n\n" in record["prompt"] and record["prompt"].endswith("== 3\n[BEGIN]\n")
    assert (record["generation_config"]["stop"], record["continues"]) == (["[DONE]"], "[BEGIN]\n")


def test_a_server_that_continues_no_answer_ends_the_run_in_a_sentence_that_helps(toy, tmp_path, problems_of_evalplus):
    refusal = "Unrecognized request argument supplied: continue_final_message"
    toy.refuses = lambda request: refusal if "continue_final_message" in request else None
    flags = ("--base_urls", toy.url, "--problems", problems_of_evalplus, "--num_samples", 1)
    run = tmp_path / "run"
    result = run_in_process(single_model_inference, *flags, "--output_dir", run, "--prompt_style", "evalplus")
    assert (result.returncode, "give --prompt_style evalplus_openai" in result.stderr) == (2, True), result.stderr
    flags = (*flags, "--prompt_style", "evalplus_openai")
    result = run_in_process(single_model_inference, *flags, "--output_dir", run)
    assert result.returncode == 0, result.stderr
    (record,) = contents(run).values()
    assert [message["role"] for message in record["prompt"]] == ["system", "user"]
    assert (record["prompt_style"], record["continues"], "stop" in toy.requests[-1]) == ("evalplus_openai", "", False)
    flags = ("--base_urls", toy.url, "--output_dir", tmp_path / "lab", "--prompt_style", "evalplus_openai")
    result = run_in_process(single_model_inference, *flags)
    assert (result.returncode, "has no prompt of EvalPlus" in result.stderr) == (2, True), result.stderr
