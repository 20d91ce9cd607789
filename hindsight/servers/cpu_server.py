"""vLLM's server, with the flags of `vllm serve`, for a CPU: its engine's process is a fork of the process that serves.

On a GPU vLLM forks as well. On a CPU it starts a new process, which imports PyTorch and vLLM a second time: 40 % of the
processor time of a start. `vllm_process` starts this module.
"""

import multiprocessing
import runpy
from functools import partial

from vllm.v1.engine import utils

if __name__ == "__main__":
    utils.get_mp_context = partial(multiprocessing.get_context, "fork")  # pyright: ignore[reportPrivateImportUsage]
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
