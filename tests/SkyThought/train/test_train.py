"""LLaMA-Factory's settings name what step 4 writes, and the lab's settings train a checkpoint that can be merged.
The check finds a dataset that LLaMA-Factory would not read as step 4 meant it.

The tests that train need LLaMA-Factory, which has a separate environment (SkyThought/train/README.md):

    LLAMAFACTORY_CLI=.venv-train/bin/llamafactory-cli python -m pytest tests/SkyThought/train/test_train.py
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import transformers
import yaml
from curating import sampled_in_a_style
from pico import merge_into
from scripts import ROOT, run_in_process, write_converted

import convert_to_data
from hindsight.problem_sets.problems import without_tests
from hindsight.problem_sets.selection import load_problems
from hindsight.text.prompts import SYSTEM_PROMPT

TRAIN = ROOT / "SkyThought" / "train"
FULL = ("llama3.1_8b_full.yaml", "qwen2.5_14b_full.yaml")
LORA = ("llama3.1_8b_lora.yaml", "qwen2.5_14b_lora.yaml")
RUNS = ("lab_cpu.yaml", *FULL, *LORA)
LAB = TRAIN / "lab_cpu.yaml"
BASE, INSTRUCT = ROOT / "lab" / "models" / "base", ROOT / "lab" / "models" / "instruct"
CLI = os.environ.get("LLAMAFACTORY_CLI")
PROBLEMS = 12  # problems in the dataset of these tests, each with the lab's own solution


def read_yaml(name):
    return yaml.safe_load((TRAIN / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A run folder with a few correct answers."""
    folder = tmp_path_factory.mktemp("train") / "run"
    for problem in load_problems("lab", "train")[:PROBLEMS]:
        program = json.loads(problem["solutions"])[0]
        write_converted(folder, problem["question_id"], 0, program, without_tests(problem), correctness=True)
    return folder


@pytest.fixture(scope="module")
def dataset(answers):
    """The dataset that step 4 makes of these answers."""
    return curate(answers, answers.parent / "data")


def curate(answers, output, *flags):
    """Runs step 4 with a fifth of the problems for validation; returns the folder that it wrote."""
    flags = ("--input_dirs", answers, "--output_dir", output, "--validation", 0.2, *flags)
    result = run_in_process(convert_to_data, *flags)
    assert result.returncode == 0, result.stderr
    assert len(read_json(output / "dataset_info.json")) == 2
    return output


def read_json(path):
    return json.loads(path.read_text())


def write_json(path, content):
    path.write_text(json.dumps(content))


def llamafactory(*arguments):
    """Runs LLaMA-Factory as a user does, from the repository's root; returns its output."""
    result = subprocess.run([CLI, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout


def assert_merges_halfway(finetuned, output):
    """The checkpoint loads and differs from the base model, and their merge loads too."""
    (halfway,) = merge_into(BASE, finetuned, output, [0.5])
    base, tuned, merged = (
        transformers.AutoModelForCausalLM.from_pretrained(folder) for folder in (BASE, finetuned, halfway)
    )
    name = "model.layers.0.self_attn.q_proj.weight"
    weights = [model.state_dict()[name].float() for model in (base, tuned, merged)]
    assert not weights[0].equal(weights[1])
    assert weights[2].allclose((weights[0] + weights[1]) / 2, atol=1e-2)


@pytest.mark.parametrize("name", RUNS)
def test_the_dataset_is_the_one_that_step_4_writes(name, dataset):
    settings, folder = read_yaml(name), Path(read_yaml(name)["dataset_dir"])
    assert {settings["dataset"], settings["eval_dataset"]} <= read_json(dataset / "dataset_info.json").keys()
    assert folder.name == Path(convert_to_data.OUTPUT_DIR).name
    if name == "lab_cpu.yaml":
        assert folder == Path(convert_to_data.OUTPUT_DIR)


def test_the_columns_and_tags_of_dataset_info_are_those_of_the_rows(dataset):
    info = read_json(dataset / "dataset_info.json")["hindsight"]
    columns, tags = info["columns"], info["tags"]
    rows = read_json(dataset / info["file_name"])
    assert info["formatting"] == "sharegpt"
    for row in rows:
        assert row[columns["system"]] == SYSTEM_PROMPT
        turns = row[columns["messages"]]
        assert [turn[tags["role_tag"]] for turn in turns] == [tags["user_tag"], tags["assistant_tag"]]
        assert all(turn[tags["content_tag"]] for turn in turns)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_papers_two_models_are_trained_with_the_same_settings(method):
    """Their files differ in the model, its template, its output folder, and the embeddings trained for Llama."""
    llama, qwen = read_yaml(f"llama3.1_8b_{method}.yaml"), read_yaml(f"qwen2.5_14b_{method}.yaml")
    assert llama["model_name_or_path"] == "meta-llama/Llama-3.1-8B" and llama["template"] == "llama3"
    assert qwen["model_name_or_path"] == "Qwen/Qwen2.5-14B" and qwen["template"] == "qwen"
    own = {"model_name_or_path", "template", "output_dir", "additional_target"}
    assert {key: llama[key] for key in llama.keys() - own} == {key: qwen[key] for key in qwen.keys() - own}


def test_rows_may_be_as_long_as_the_models_context_or_the_longest_answer():
    """8192: the longest answer of the GPU scripts."""
    lab = json.loads((INSTRUCT / "config.json").read_text())
    assert read_yaml("lab_cpu.yaml")["cutoff_len"] == lab["max_position_embeddings"]
    assert all(read_yaml(name)["cutoff_len"] > 8192 for name in (*FULL, *LORA))


def test_the_export_reads_the_adapter_that_lora_training_writes():
    training, export = read_yaml("llama3.1_8b_lora.yaml"), read_yaml("lora_export.yaml")
    assert export["adapter_name_or_path"] == training["output_dir"] != export["export_dir"]
    assert all(export[key] == training[key] for key in ("model_name_or_path", "template", "finetuning_type"))


@pytest.mark.parametrize("name", FULL)
def test_the_deepspeed_settings_exist_and_save_whole_weights(name):
    path = ROOT / read_yaml(name)["deepspeed"]
    stage_3 = json.loads(path.read_text())["zero_optimization"]
    assert stage_3["stage"] == 3 and stage_3["stage3_gather_16bit_weights_on_model_save"]


@pytest.mark.train
def test_llamafactory_knows_every_key():
    python = Path(CLI).with_name("python")
    code = (
        "import json; from dataclasses import fields; from llamafactory import hparams as h; "
        "print(json.dumps([f.name for c in (h.ModelArguments, h.DataArguments, h.TrainingArguments, "
        "h.FinetuningArguments, h.GeneratingArguments) for f in fields(c)]))"
    )
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    known = set(json.loads(result.stdout.splitlines()[-1]))
    for name in (*RUNS, "lora_export.yaml"):
        assert set(read_yaml(name)) <= known, name


@pytest.mark.train
def test_the_lab_is_trained_on_its_own_chat_template_into_a_checkpoint_that_merges(dataset, tmp_path):
    tuned = tmp_path / "finetuned"
    here = (f"dataset_dir={dataset}", f"output_dir={tuned}", "max_steps=3")
    printed = llamafactory("train", TRAIN / "lab_cpu.yaml", *here)
    row = read_json(dataset / "hindsight.json")[0]
    question, answer = (turn["value"] for turn in row["conversations"])
    messages = [{"role": "system", "content": row["system"]}, {"role": "user", "content": question}]
    whole = [*messages, {"role": "assistant", "content": answer}]
    before, after = transformers.AutoTokenizer.from_pretrained(BASE), transformers.AutoTokenizer.from_pretrained(tuned)
    assert f"inputs:\n{before.apply_chat_template(whole, tokenize=False)}" in printed
    assert f"labels:\n{answer}<|im_end|>\n" in printed
    prompts = [t.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) for t in (before, after)]
    assert prompts[0] == prompts[1] and before.encode(prompts[0]) == after.encode(prompts[1])
    results = read_json(tuned / "all_results.json")
    assert results["train_loss"] > 0 and results["eval_loss"] > 0
    ends = read_json(tuned / "generation_config.json")["eos_token_id"]
    assert set(ends) == set(before.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]))
    assert_merges_halfway(tuned, tmp_path / "merged")


@pytest.mark.train
@pytest.mark.parametrize("name", LORA)
def test_a_lora_adapter_is_exported_into_a_checkpoint_that_merges(dataset, tmp_path, name):
    """The large models' settings with the lab's model, whose output layer is tied and so cannot be trained apart."""
    lab = (f"model_name_or_path={BASE}", "template=chatml")
    small = ("lora_rank=8", "lora_alpha=8", "additional_target=null", "gradient_accumulation_steps=1", "max_steps=2")
    here = ("use_cpu=true", "preprocessing_num_workers=1", "cutoff_len=1024", f"dataset_dir={dataset}")
    adapter, tuned = tmp_path / "adapter", tmp_path / "finetuned"
    llamafactory("train", TRAIN / name, *lab, *small, *here, f"output_dir={adapter}")
    export = (f"adapter_name_or_path={adapter}", f"export_dir={tuned}")
    llamafactory("export", TRAIN / "lora_export.yaml", *lab, *export)
    assert_merges_halfway(tuned, tmp_path / "merged")


def check_dataset(*words):
    """Runs the check in LLaMA-Factory's environment; returns its exit status and its output."""
    command = [Path(CLI).with_name("python"), TRAIN / "check_dataset.py", *words]
    result = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def own_dataset(dataset, tmp_path):
    """A copy of the dataset that a test may damage."""
    return Path(shutil.copytree(dataset, tmp_path / "data"))


@pytest.mark.train
@pytest.mark.parametrize("form", ["sharegpt", "jsonl", "parquet"])
def test_the_check_passes_for_every_format_of_step_4(answers, dataset, tmp_path, form):
    rows = read_json(dataset / "hindsight.json")
    question, answer = (turn["value"] for turn in rows[0]["conversations"])
    status, printed = check_dataset(LAB, f"dataset_dir={curate(answers, tmp_path, '--format', form)}")
    assert status == 0, printed
    assert f"hindsight: {len(rows)} of {len(rows)} examples are the intended chat" in printed
    prompt, learnt = printed.split("=== trained on")
    assert f"\n<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n" in prompt
    assert f" tokens\n{answer}<|im_end|>\n" in learnt


@pytest.mark.train
@pytest.mark.parametrize("template", ["chatml", "llama3"])
def test_step_4_counts_the_tokens_that_llamafactory_reads(answers, tmp_path, template):
    """With the lab's vocabulary and the special tokens of Llama 3's template, as every Llama 3 has them."""
    model = tmp_path / "model"
    shutil.copytree(BASE, model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE)
    special = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"]
    tokenizer.add_special_tokens({"bos_token": "<|begin_of_text|>", "additional_special_tokens": special})
    tokenizer.save_pretrained(model)
    jinja = TRAIN / "llama3.jinja" if template == "llama3" else ""
    data = curate(answers, tmp_path / "data", "--tokenizer", model, "--chat_template", jinja)
    settings = (f"dataset_dir={data}", f"model_name_or_path={model}", f"template={template}")
    status, printed = check_dataset(LAB, *settings)
    assert status == 0, printed
    sources = [json.loads(line) for line in (data / "hindsight.sources.jsonl").read_text().splitlines()]
    tokens = {split: [row["tokens"] for row in sources if row["split"] == split] for split in ("train", "validation")}
    for name, lengths in (("hindsight", tokens["train"]), ("hindsight_validation", tokens["validation"])):
        said = f"{name}: {len(lengths)} rows of {min(lengths)} to {max(lengths)} tokens"
        assert said in printed and f"{sum(lengths):,} in all" in printed


R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
    "<｜User｜>{{ m.content }}{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)


@pytest.mark.train
@pytest.mark.parametrize("template", ["qwen3", "deepseekr1"])
def test_rows_with_think_tags_are_what_reasoning_templates_expect(answers, dataset, tmp_path, template):
    """Rows with our tags get an empty thought; all rows are as long as step 4 says."""
    model = tmp_path / "model"
    shutil.copytree(BASE, model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE)
    more = ["<think>", "</think>", "<｜User｜>", "<｜Assistant｜>"]
    tokenizer.add_special_tokens({"bos_token": "<|begin|>", "additional_special_tokens": more})
    tokenizer.save_pretrained(model)
    (tmp_path / "r1.jinja").write_text(R1)
    jinja = tmp_path / "r1.jinja" if template == "deepseekr1" else ""
    flags = ("--tokenizer", model, "--chat_template", jinja, "--think_tags")
    data = curate(answers, tmp_path / "data", *flags)
    settings = (f"model_name_or_path={model}", f"template={template}")
    status, printed = check_dataset(LAB, f"dataset_dir={data}", *settings)
    assert status == 0, printed
    lengths = [json.loads(line) for line in (data / "hindsight.sources.jsonl").read_text().splitlines()]
    tokens = [row["tokens"] for row in lengths if row["split"] == "train"]
    assert f"{len(tokens)} rows of {min(tokens)} to {max(tokens)} tokens" in printed
    assert f"{sum(tokens):,} in all" in printed
    learnt = printed.split("=== trained on")[1].split(" tokens\n")[1]
    assert learnt.startswith("<think>\nhm\n</think>\n\n```python\n")
    status, printed = check_dataset(LAB, f"dataset_dir={data}", *settings, "enable_thinking=false")
    assert status == 1 and "the thought is not trained on, because enable_thinking is false" in printed, printed
    for thinking in ("true", "false"):
        status, printed = check_dataset(LAB, f"dataset_dir={dataset}", *settings, f"enable_thinking={thinking}")
        assert status == 1 and "puts an empty thought, '<think>\\n\\n</think>\\n\\n', before the answer" in printed, (
            printed
        )


OWN_SYSTEM = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\nYou help<|im_end|>\n"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.train
def test_rows_in_a_prompt_style_are_read_as_sent_if_both_templates_add_the_same_system_message(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(BASE, model)
    (model / "chat_template.jinja").write_text(OWN_SYSTEM)
    programs = [f"def add(a, b):\n    return a + b + {number} - {number}" for number in range(9)]
    run = sampled_in_a_style(tmp_path / "run", programs)
    flags = ("--prompt_style", "evalplus", "--tokenizer", model, "--near_duplicates", 0, "--validation", 0)
    result = run_in_process(convert_to_data, "--input_dirs", run, "--output_dir", tmp_path / "data", *flags)
    assert result.returncode == 0, result.stderr
    here = (LAB, f"dataset_dir={tmp_path / 'data'}", f"model_name_or_path={model}", "eval_dataset=null")
    here = (*here, "eval_strategy='no'", "template=smollm2")  # which leaves the checkpoint's template as it is
    status, printed = check_dataset(*here, "default_system=You help")
    assert status == 0 and "hindsight: 9 of 9 examples are the intended chat" in printed, printed
    assert "note:" not in printed
    status, printed = check_dataset(*here, "default_system=You help.")
    assert status == 1 and "no system message, and the template adds its own: 'You help.'" in printed, printed


@pytest.mark.train
def test_a_template_that_begins_an_answer_with_a_line_end_is_read_as_meant(answers, tmp_path):
    data = curate(answers, tmp_path / "data", "--think_tags")
    status, printed = check_dataset(LAB, f"dataset_dir={data}", "template=glm4_moe")
    assert status == 0, printed


@pytest.mark.train
def test_the_check_reads_validation_rows_and_advises_if_they_are_missing(own_dataset):
    here = (LAB, f"dataset_dir={own_dataset}")
    held_out = len(read_json(own_dataset / "hindsight_validation.json"))
    status, printed = check_dataset(*here)
    assert status == 0 and f"hindsight_validation: {held_out} of {held_out} examples" in printed, printed
    info = read_json(own_dataset / "dataset_info.json")
    del info["hindsight_validation"]
    write_json(own_dataset / "dataset_info.json", info)
    status, printed = check_dataset(*here)
    assert status == 2 and "or remove eval_dataset and eval_strategy" in printed, printed
    status, printed = check_dataset(*here, "eval_dataset=null", "eval_strategy='no'")
    assert status == 0 and "LLaMA-Factory reads hindsight as intended" in printed, printed


WITHOUT_SYSTEM = {"columns": {"messages": "conversations"}}
SWAPPED_ROLES = {"tags": {"role_tag": "from", "content_tag": "value", "user_tag": "gpt", "assistant_tag": "human"}}
OTHER_COLUMN = {"columns": {"messages": "turns", "system": "system"}}


@pytest.mark.train
@pytest.mark.parametrize(
    ("entry", "word", "status", "sentence"),
    [
        ({}, "cutoff_len=120", 1, "rows of hindsight are cut off at cutoff_len, 120 tokens"),
        ({}, "train_on_prompt=true", 1, "row 0 of hindsight: the trained part is not the answer and its end"),
        (WITHOUT_SYSTEM, "", 1, "row 0 of hindsight: the prompt is not the row's system message and question"),
        (SWAPPED_ROLES, "", 2, "LLaMA-Factory cannot read this"),
        (OTHER_COLUMN, "", 2, "LLaMA-Factory cannot read this: KeyError: 'turns'"),
        ({}, "template=none_such", 2, "Template none_such does not exist"),
        ({}, "dataset=none_such", 2, "has no dataset 'none_such'"),
        ({}, "learning_rat=1", 2, "learning_rat"),
    ],
)
def test_the_check_finds_every_difference_from_what_was_meant(own_dataset, entry, word, status, sentence):
    info = read_json(own_dataset / "dataset_info.json")
    info["hindsight"] |= entry
    write_json(own_dataset / "dataset_info.json", info)
    found, printed = check_dataset(LAB, f"dataset_dir={own_dataset}", *filter(None, [word]))
    assert found == status and sentence in printed, printed


@pytest.mark.train
def test_the_check_counts_rows_that_llamafactory_drops(own_dataset):
    """One row has other role tags than dataset_info.json names."""
    rows = read_json(own_dataset / "hindsight.json")
    rows[1]["conversations"] = [{"from": "user", "value": "?"}, {"from": "assistant", "value": "!"}]
    write_json(own_dataset / "hindsight.json", rows)
    status, printed = check_dataset(LAB, f"dataset_dir={own_dataset}")
    assert status == 1 and f"has {len(rows)} rows, of which LLaMA-Factory keeps {len(rows) - 1}" in printed, printed


@pytest.mark.train
@pytest.mark.parametrize("words", [[], ["none_such.yaml"], [LAB, "max_steps"], [LAB, "dataset_dir=none_such"]])
def test_the_check_without_settings_or_a_dataset_ends_in_one_sentence(words):
    status, printed = check_dataset(*words)
    assert status == 2 and len(printed.splitlines()) == 1 and printed.startswith("check_dataset.py: "), printed
