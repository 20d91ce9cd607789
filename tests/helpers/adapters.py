"""LoRA adapters made by peft for pico checkpoints, and what peft makes of them."""

import json
import warnings

import torch
import transformers
from safetensors.torch import save_file

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_gpt2(folder):
    """A checkpoint whose layers store their weights transposed."""
    torch.manual_seed(0)
    tokens = {"vocab_size": 64, "bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(n_positions=32, n_embd=32, n_layer=2, n_head=2, **tokens)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto")


def make_adapter(folder, base, **options):
    """An adapter for the checkpoint in `base`, with every trained number moved from its start."""
    from peft import LoraConfig, get_peft_model  # here, as peft takes long to import

    with warnings.catch_warnings(action="ignore"):
        model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", **options))
        torch.manual_seed(7)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.05 * torch.randn_like(parameter))
        model.save_pretrained(folder)
    return folder


def open_with_peft(base, adapter):
    from peft import PeftModel  # here, as peft takes long to import

    with warnings.catch_warnings(action="ignore"):
        return PeftModel.from_pretrained(load(base), adapter).eval()


def merged_by_peft(base, adapter):
    """The tensors after `merge_and_unload`."""
    with warnings.catch_warnings(action="ignore"):
        return open_with_peft(base, adapter).merge_and_unload().state_dict()


def save_adapter(folder, tensors, **config):
    """An adapter with these tensors and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    return folder
