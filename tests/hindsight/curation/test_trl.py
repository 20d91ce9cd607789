"""TRL takes step 4's data sets as they are, and counts the tokens that step 4 counts.

TRL comes with LLaMA-Factory (SkyThought/train/README.md):

    LLAMAFACTORY_CLI=.venv-train/bin/llamafactory-cli python -m pytest tests/hindsight/curation/test_trl.py
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from scripts import ROOT, run_script, write_converted

from hindsight.curation.row_files import read_rows
from hindsight.text.uniform_format import BEGIN_THOUGHT

CLI = os.environ.get("LLAMAFACTORY_CLI")
BASE_MODEL = ROOT / "lab" / "models" / "base"
pytestmark = pytest.mark.train

TRAIN = """
import json, sys
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
from trl.data_utils import is_conversational
path, model, folder = sys.argv[1:]
kind = "parquet" if path.endswith("parquet") else "json"
rows = load_dataset(kind, data_files=path, split="train", cache_dir=f"{folder}/cache")
config = SFTConfig(output_dir=folder, max_length=None, use_cpu=True, bf16=False, report_to=[], max_steps=1,
                   per_device_train_batch_size=2, gradient_checkpointing=False)
tokenizer = AutoTokenizer.from_pretrained(model)
model = AutoModelForCausalLM.from_pretrained(model)
trainer = SFTTrainer(model, config, train_dataset=rows, processing_class=tokenizer)
trainer.train()
read = [
    {
        "text": tokenizer.decode(row["input_ids"]),
        "tokens": len(row["input_ids"]),
        "learnt": tokenizer.decode([i for i, m in zip(row["input_ids"], row.get("completion_mask", [])) if m]),
    }
    for row in trainer.train_dataset
]
print(json.dumps({"conversational": is_conversational(rows[0]), "read": read}))
"""


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("base", [False, True])
def test_trl_trains_on_what_step_4_writes(form, base, tmp_path):
    for number in range(3):
        problem = {"question": f"Print {number} and the next integer.", "starter_code": ""}
        write_converted(tmp_path / "run", number, 0, f"print({number}, {number + 1})", problem, correctness=True)
    flags = ["--input_dirs", tmp_path / "run", "--output_dir", tmp_path / "data", "--format", form, "--validation", 0]
    result = run_script("convert_to_data.py", *flags, "--near_duplicates", 0, *["--base"] * base)
    assert result.returncode == 0, result.stderr
    path = tmp_path / "data" / f"hindsight.{form}"
    command = [Path(CLI).with_name("python"), "-c", TRAIN, path, BASE_MODEL, tmp_path / "out"]
    trained = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert trained.returncode == 0, trained.stderr[-2000:]
    found = json.loads(trained.stdout.splitlines()[-1])
    assert found["conversational"] is not base
    sources = [json.loads(line) for line in (tmp_path / "data" / "hindsight.sources.jsonl").read_text().splitlines()]
    assert [row["tokens"] for row in found["read"]] == [source["tokens"] for source in sources]
    for row, read in zip(read_rows(path), found["read"], strict=True):
        if base:
            assert read["text"] == f"{row.prompt}{row.answer}<|endoftext|>"
            # TRL masks as many tokens as the prompt has alone; the lab's tokenizer joins a word and the space after it,
            # so the mask takes the tag that opens the thought too
            assert read["learnt"] == row.answer.partition(f"{BEGIN_THOUGHT}\n\n")[2] + "<|endoftext|>"
        else:
            chat = (f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in row.messages())
            assert read["text"] == "".join(chat)
