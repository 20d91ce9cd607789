"""The command that makes a checkpoint mergeable: transformers reads it and saves what it read as safetensors."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hindsight.files.records import read_record

SAMPLING = {"temperature", "top_p", "top_k", "min_p", "typical_p"}  # settings that need do_sample; Vicuna lacks it


def rewrite_command(
    name: str, folder: Path, renames: Mapping[str, str] = MappingProxyType({}), text_model: bool = False
) -> str:
    """A shell command that rewrites a checkpoint into a new folder; `name` is its folder or Hub name.

    `renames`: patterns in the names of tensors, and what is to replace them. `text_model`: only the language model of a
    model with several parts is saved. transformers leaves out tensors that its model does not use.
    """
    repo, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    source = json.dumps(repo) + (f", revision={json.dumps(revision)}" if revision else "")
    target = json.dumps(f"{Path(repo).resolve().name}_rewritten")
    load, save = source, target
    if text_model:
        load += f", config=AutoConfig.from_pretrained({source}).text_config"
    if renames:
        load += f", key_mapping={json.dumps(dict(renames))}"
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


def new_prefix(old: str, new: str) -> dict[str, str]:
    """The renames of `rewrite_command` for tensors that have one prefix and should have the other."""
    return {f"^{re.escape(old)}": new} if old != new else {}
