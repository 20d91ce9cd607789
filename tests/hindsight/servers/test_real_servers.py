"""The sampling scripts with real vLLM servers of the lab's models: seeds, and switching compared token by token."""

from pathlib import Path

import pytest
import torch
import transformers
from scripts import ROOT, processes_of, run_script

from hindsight.errors import UserError
from hindsight.files.answer_files import list_files
from hindsight.files.records import read_record
from hindsight.servers.vllm_process import ServeOptions, serve

pytestmark = pytest.mark.usefixtures("forked_steps")
SINGLE, SWITCHING = "single_model_inference.py", "switching_inference.py"
GREEDY = ["--base_temperature", 0, "--instruct_temperature", 0, "--num_samples", 1, "--logprobs", 1]
PROBLEMS = 4
MODELS = ROOT / "lab" / "models"
# The base model's transcript, written like the lab's chat template, so that both roles get the same tokens.
ONE_PROMPT = """{% block transcript %}<|im_start|>system
{{ system }}<|im_end|>
<|im_start|>user
{{ user }}<|im_end|>
<|im_start|>assistant
{{ begin_thought }}

{% endblock %}"""


def sample(script, folder, *flags):
    """Runs a script; the records it wrote."""
    result = run_script(script, *flags, "--output_dir", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return [read_record(path) for path in list_files(folder, "sample").values()]


@pytest.fixture(scope="module")
def own_answers(lab_servers, tmp_path_factory):
    """The instruct model's greedy answers to chat messages."""
    flags = ["--base_urls", lab_servers["instruct"], *GREEDY, "--end_idx", PROBLEMS]
    return sample(SINGLE, tmp_path_factory.mktemp("own") / "run", *flags)


def test_servers_and_their_engines_are_forks_and_import_nothing_again(lab_processes):
    processes = [pid for server in lab_processes.values() for pid in processes_of(server.process.pid)]
    assert len(processes) == 4, "a server and an engine each"
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in processes]
    addresses = [{line.split("-")[0] for line in each.splitlines() if "libtorch_cpu" in line} for each in maps]
    assert addresses[0] and all(each == addresses[0] for each in addresses), "another program lies elsewhere in memory"


def test_an_engine_that_cannot_start_says_why(lab_processes):
    options = ServeOptions(dtype="float32", kv_cache_gib=1_000_000)
    with pytest.raises(UserError) as error, serve(MODELS / "base", options=options):
        pass
    said = str(error.value).splitlines()
    assert any("ValueError: Available memory" in line for line in said), "the engine's reason"
    assert "RuntimeError" in said[-1] and not any(line.startswith("  File") for line in said)


def test_the_same_seed_gives_the_same_text_and_another_seed_a_different_text(lab_servers, tmp_path):
    flags = ["--base_urls", lab_servers["instruct"], "--end_idx", 4, "--num_samples", 2, "--instruct_temperature", 1]
    flags += ["--max_tokens", 64]
    runs = [
        sample(SINGLE, tmp_path / name, *flags, *seed)
        for name, seed in (("one", ()), ("two", ("--concurrency", 3)), ("three", ("--seed", 1)))
    ]
    assert not any(record["thought_open"] for record in runs[0]), "the lab's chat template opens no thought"
    one, two, three = ([record["generated_text"] for record in records] for records in runs)
    assert one == two
    assert sum(a != b for a, b in zip(one, three, strict=True)) > 2, "the model is certain of the rest"
    assert {record["generation_config"]["seed"] for record in runs[0]}.isdisjoint(
        record["generation_config"]["seed"] for record in runs[2]
    )


def same_after_the_opening(switched, own):
    """Whether a switching answer equals the model's own answer after the opening tag, which switching adds itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODELS / "instruct")
    opening = own["token_ids"][: -len(switched["token_ids"])]
    assert tokenizer.decode(opening) == "<begin_of_slow_thought>\n\n"
    return opening + switched["token_ids"] == own["token_ids"]


def test_a_single_endless_turn_gives_the_instruct_models_own_answer_token_by_token(lab_servers, own_answers, tmp_path):
    flags = ["--base_model_urls", lab_servers["base"], "--instruct_model_urls", lab_servers["instruct"]]
    flags += ["--k", 1_000_000, "--p", 1_000_000, *GREEDY, "--end_idx", PROBLEMS, "--stop"]
    switched = sample(SWITCHING, tmp_path / "run", *flags)
    assert len(switched) == len(own_answers) == PROBLEMS
    for one, own in zip(switched, own_answers, strict=True):
        assert same_after_the_opening(one, own)
        assert [segment["model"] for segment in one["segments"]] == ["instruct"]


@pytest.mark.parametrize(
    ("k", "p", "first"), [("1", "1", "base"), ("3", "7", "instruct"), ("2-9", "geometric 5", "random")]
)
def test_one_model_in_both_roles_gives_its_own_answer_token_by_token(lab_servers, own_answers, tmp_path, k, p, first):
    url, prompts = lab_servers["instruct"], tmp_path / "prompts.jinja"
    prompts.write_text(ONE_PROMPT)
    flags = ["--base_model_urls", url, "--instruct_model_urls", url, "--base_model", "lab-instruct", *GREEDY]
    flags += ["--k", k, "--p", p, "--first", first, "--prompt_file", prompts, "--end_idx", PROBLEMS, "--stop"]
    switched = sample(SWITCHING, tmp_path / "run", *flags)
    for one, own in zip(switched, own_answers, strict=True):
        assert same_after_the_opening(one, own)
        assert (one["finish_reason"], len(one["segments"]) > 3) == (own["finish_reason"], True)
        assert one["segments"][-1]["end_token"] == len(one["token_ids"]) == len(one["logprobs"])


def log_probabilities(role, prompt, ids):
    """The log-probability of each token after a prompt, computed with transformers and the lab's model."""
    model = transformers.AutoModelForCausalLM.from_pretrained(MODELS / role, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits, dim=-1)[range(len(ids)), ids].tolist()


def test_log_probabilities_are_those_of_the_model_that_wrote_the_token(lab_servers, tmp_path):
    urls = ["--base_model_urls", lab_servers["base"], "--instruct_model_urls", lab_servers["instruct"]]
    flags = [*urls, "--k", 6, "--p", 9, "--num_samples", 1, "--logprobs", 1, "--end_idx", 4]
    for record in sample(SWITCHING, tmp_path / "run", *flags):
        ids, tokenizer, start = record["token_ids"], transformers.AutoTokenizer.from_pretrained(MODELS / "base"), 0
        assert len(ids) == len(record["logprobs"]) == record["usage"]["completion_tokens"]
        chat = tokenizer.apply_chat_template(record["prompt"]["instruct"], add_generation_prompt=True, tokenize=False)
        prompts = {"instruct": chat + "<begin_of_slow_thought>\n\n", "base": record["prompt"]["base"]}
        open_ids = {role: tokenizer.encode(text + "A")[:-1] for role, text in prompts.items()}
        known = {role: log_probabilities(role, prompt, ids) for role, prompt in open_ids.items()}
        for segment in record["segments"]:
            part = slice(start, segment["end_token"])
            own, other = known[segment["model"]], known["base" if segment["model"] == "instruct" else "instruct"]
            assert record["logprobs"][part] == pytest.approx(own[part], abs=0.01)
            start = segment["end_token"]
        assert max(abs(a - b) for a, b in zip(own, other, strict=True)) > 1, "the two models differ more than that"


def test_prompts_longer_than_the_context_stop_the_run_and_their_length_is_reported(lab_servers, tmp_path):
    flags = ["--base_urls", lab_servers["instruct"], "--end_idx", 1, "--num_samples", 2, "--max_tokens", 100_000]
    result = run_script(SINGLE, *flags, "--output_dir", tmp_path / "run")
    assert (result.returncode, (tmp_path / "run").exists()) == (2, False)
    assert "no prompt fits: the prompts have up to" in result.stderr
    assert "beside 100000 new tokens in a context of 1024" in result.stderr


def test_a_dry_run_shows_the_prompt_with_the_chat_template_and_requests_no_sample(lab_servers, tmp_path):
    result = run_script(SINGLE, "--base_urls", lab_servers["instruct"], "--dry_run", "--output_dir", tmp_path / "run")
    assert (result.returncode, (tmp_path / "run").exists()) == (0, False)
    assert "<|im_start|>system\nYou solve programming problems." in result.stdout
    assert result.stdout.rstrip().endswith("<|im_start|>assistant")
    assert result.stdout.count("----- instruct (lab-instruct), ") == 2
