"""Serves a checkpoint with vLLM until Ctrl-C, on a GPU or a CPU; or a merge of two, made while vLLM loads.

    python -m hindsight.serving --model lab/models/instruct --name lab-instruct --port 8001
    python -m hindsight.serving --model lab/models/instruct --name lab-0.7 --merge_base lab/models/base --alpha 0.7

`make serve` calls it. On a GPU machine, most people will prefer `vllm serve` with the flags that suit the model.
"""

import signal
import sys
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.merging.alphas import AlphaRule
from hindsight.servers.vllm_process import ServeOptions, log_end, serve
from hindsight.settings import Settings, run_script

# fmt: off
MODEL = "lab/models/instruct"  # checkpoint folder or Hub name; in a merge, a LoRA adapter too
MERGE_BASE = ""                # checkpoint towards which MODEL is merged while it loads; empty: no merge
ALPHA = 0.7                    # weight of MODEL in that merge; 0: the base, 1: MODEL
ALPHA_OF = []                  # other alphas for parts, such as layers.0-7:0.3 mlp:0.9; see docs/merging.md
EXTRAPOLATE = False            # allow alphas beyond [0, 1]
ALLOW_UNRELATED = False        # merge MODEL even with a MERGE_BASE that it cannot come from
METHOD = "lerp"                # method of that merge: lerp or slerp
PARENTS = "disk"               # disk: each change of alpha reads both models again; memory: each worker keeps them
NAME = ""                      # the model's name in requests; empty: lab-base or lab-instruct for the lab's, else MODEL
HOST = "127.0.0.1"             # address to listen on; 0.0.0.0: reachable from other machines
PORT = 8000                    # port to listen on; 0: a free one
MAX_MODEL_LEN = 0              # context in tokens; 0: as the checkpoint's config says
DTYPE = ""                     # number format: auto (the checkpoint's), float32, ...; empty: the fastest here
START_DEADLINE = 600           # seconds the server may take to start
KV_CACHE_GIB = 0.0             # key-value cache on a CPU, in GiB; 0: VLLM_CPU_KVCACHE_SPACE if it is set, else 2
THREADS = 0                    # computing threads on a CPU; 0: OMP_NUM_THREADS if it is set, else one per core
# fmt: on


def check_merge(
    base: str, finetuned: str, rule: AlphaRule, method: str, allow_unrelated: bool = False
) -> dict[str, Any]:
    """The loader's extra config. Raises UserError, before vLLM starts, if the two cannot be merged like this."""
    # Here, since these import torch, which takes seconds and which only a merge needs
    from hindsight.merging.adapters import AdaptedCheckpoint
    from hindsight.merging.kinship import check_kinship
    from hindsight.merging.plan import plan_merge, require_loadable

    rule.require_method(method)
    plan = plan_merge(base, finetuned)
    require_loadable(plan)
    rule.require_used(pair.name for pair in plan.pairs)
    unrelated = check_kinship(plan, allow_unrelated)
    for note in plan.notes + unrelated:
        print(f"note: {note}", flush=True)
    merge = {"base": base, "alpha": rule.to_json(), "method": method}
    if isinstance(plan.finetuned, AdaptedCheckpoint):
        merge["adapter"] = str(plan.finetuned.adapter.folder)
    allowed = {"extrapolate": rule.extrapolates, "allow_unrelated": bool(unrelated)}
    return {**merge, **{key: True for key, needed in allowed.items() if needed}}


def check_weights(folder: Path) -> None:
    """Raises UserError if a layer of the folder's checkpoint lacks weights: vLLM may serve it without a word."""
    weights = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if (folder / "config.json").exists() and any(path.exists() for path in weights):
        from hindsight.merging.checkpoints import open_checkpoint
        from hindsight.merging.names import require_whole

        require_whole(open_checkpoint(folder))


def main(settings: Settings) -> None:
    merge = None
    if settings.merge_base:
        rule = AlphaRule.parse(settings.alpha, settings.alpha_of, settings.extrapolate)
        parents = settings.merge_base, settings.model
        merge = check_merge(*parents, rule, settings.method, settings.allow_unrelated) | {"parents": settings.parents}
        merge |= {"extrapolate": True} if settings.extrapolate else {}  # a dial may go there later
    else:
        check_weights(Path(settings.model))
    print(f"starting vLLM with {settings.model} (about a minute)", flush=True)
    options = settings.pick(ServeOptions, merge=merge)
    with serve(settings.model, settings.name, settings.start_deadline, options) as server:
        print(f"serving {server.name} at {server.url}; press Ctrl-C to stop it", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        status = server.process.wait()
        raise UserError(f"vLLM ended with status {status}; its last lines:\n{log_end(server.log)}")


if __name__ == "__main__":
    run_script(main, globals())
