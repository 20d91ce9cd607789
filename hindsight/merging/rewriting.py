"""The command that makes a checkpoint mergeable: transformers reads it and saves what it read as safetensors."""

import json
import re
import shlex
from pathlib import Path

from hindsight.files.records import read_record

SAMPLING = {"temperature", "top_p", "top_k", "min_p", "typical_p"}  # settings that need do_sample; Vicuna lacks it


def rewrite_command(name: str, folder: Path, prefixes: tuple[str, str] = ("", ""), text_model: bool = False) -> str:
    """A shell command that rewrites a checkpoint into a new folder; `name` is its folder or Hub name.

    `prefixes`: the prefix that its tensors have, and the one that they should have. `text_model`: only the language
    model of a model with several parts is saved. transformers leaves out tensors that its model does not use.
    """
    repo, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    source = json.dumps(repo) + (f", revision={json.dumps(revision)}" if revision else "")
    target = json.dumps(f"{Path(repo).resolve().name}_rewritten")
    load, save = source, target
    if text_model:
        load += f", config=AutoConfig.from_pretrained({source}).text_config"
    if prefixes[0] != prefixes[1]:
        load += f", key_mapping={{{json.dumps('^' + re.escape(prefixes[0]))}: {json.dumps(prefixes[1])}}}"
        save += ", save_original_format=False"  # which would restore the names
    steps = [
        "from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer",
        f'model = AutoModelForCausalLM.from_pretrained({load}, dtype="auto")',
        f"model.save_pretrained({save})",
    ]
    generation = folder / "generation_config.json"
    written = read_record(generation) if generation.exists() else {}
    if not SAMPLING.isdisjoint(written) and not written.get("do_sample"):  # transformers refuses to save this
        steps.insert(2, "model.generation_config.do_sample = True")
    if any(folder.glob("tokenizer*")):
        steps.append(f"AutoTokenizer.from_pretrained({source}).save_pretrained({target})")
    return f"python -c {shlex.quote('; '.join(steps))}"
