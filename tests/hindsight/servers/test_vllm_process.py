"""Starting a server: what is chosen by the machine, other commands that serve, and merges while a model loads."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts import ROOT, processes_of

from hindsight.servers import vllm_process
from hindsight.servers.vllm_process import ServeOptions, divide_threads, hold_port, serve


def test_a_processor_without_bfloat16_serves_float32(monkeypatch):
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: False)
    monkeypatch.setattr(vllm_process, "BFLOAT16", set())
    assert vllm_process.quickest_dtype() == "float32"
    monkeypatch.setattr(vllm_process, "BFLOAT16", set(Path("/proc/cpuinfo").read_text().split()[:1]))
    assert vllm_process.quickest_dtype() == "auto"
    monkeypatch.setattr(vllm_process, "BFLOAT16", set())
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: True)
    assert vllm_process.quickest_dtype() == "auto"


def test_a_given_command_replaces_vllm_and_its_log_is_kept(tmp_path):
    """Here the command serves files, one of which answers requests of /v1/models."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "models").write_text("{}")
    command = f"{sys.executable} -m http.server {{port}} --bind 127.0.0.1 --directory {{model}}"
    with serve(tmp_path, "files", 60, ServeOptions(command=command, log=tmp_path / "server.log")) as server:
        assert server.process.poll() is None and server.name == "files"
    assert server.process.poll() is not None
    assert "GET /v1/models" in (tmp_path / "server.log").read_text()


def test_the_end_of_a_log_has_every_error_without_the_code_that_led_to_it(tmp_path):
    prefix = "(EngineCore pid=8) ERROR 12-01 07:44:10 [core.py:1510] "
    traceback = ["Traceback (most recent call last):", '  File "engine.py", line 1, in run', "    raise x"]
    log = tmp_path / "log"
    engine = [f"{prefix}{line}" for line in ("failed to start.", *traceback, "ValueError: no memory")]
    server = [*traceback * 20, "ValidationError: 1 error", "  a setting is wrong", "", "bye"]
    log.write_text("\n".join(["up", *engine, *server]))
    short = ["up", engine[0], engine[-1], "ValidationError: 1 error", "  a setting is wrong", "", "bye"]
    assert vllm_process.log_end(log).splitlines() == short


REUSE = {"address": [socket.SO_REUSEADDR], "port": [socket.SO_REUSEPORT]}
REUSE["both"] = REUSE["address"] + REUSE["port"]


@pytest.mark.parametrize("options", REUSE.values(), ids=REUSE)
def test_a_free_port_is_held_until_the_server_listens_there(options):
    """Another program cannot take it meanwhile, as happened in the 20 s until vLLM listened."""
    with hold_port() as held, socket.socket() as other, socket.socket() as server:
        with pytest.raises(OSError, match="Address already in use"):
            other.bind(held.getsockname())
        for option in options:
            server.setsockopt(socket.SOL_SOCKET, option, 1)
        server.bind(("0.0.0.0", held.getsockname()[1]))
        server.listen()
        with socket.create_connection(held.getsockname(), timeout=10):
            assert server.accept()


@pytest.mark.parametrize(("given", "threads"), [({}, "6"), ({"OMP_NUM_THREADS": "4"}, "4")])
def test_a_server_computes_with_all_cores_unless_the_environment_says_otherwise(monkeypatch, given, threads):
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: False)
    monkeypatch.setattr(vllm_process.os, "sched_getaffinity", lambda process: range(6))
    monkeypatch.setattr(vllm_process.os, "environ", given)
    assert vllm_process._environment(ServeOptions())["OMP_NUM_THREADS"] == threads
    assert vllm_process._environment(ServeOptions(threads=3))["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("parts", "threads"), [(1, 6), (2, 3), (4, 1), (7, 1)])
def test_several_servers_share_the_cores_equally(monkeypatch, parts, threads):
    monkeypatch.setattr(vllm_process.os, "sched_getaffinity", lambda process: range(6))
    assert divide_threads(parts) == threads


def test_an_adapter_is_served_as_its_base_which_is_merged_with_it(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    options = ServeOptions(merge={"base": "BASE", "alpha": 0.4})
    command = vllm_process._vllm_flags(str(tmp_path), "name", 1234, options)
    assert command[command.index("--model") + 1] == "BASE"
    extra = {"base": "BASE", "alpha": 0.4, "adapter": str(tmp_path)}
    assert json.loads(command[command.index("--model-loader-extra-config") + 1]) == extra
    assert "--tokenizer" not in command
    (tmp_path / "tokenizer_config.json").write_text("{}")
    command = vllm_process._vllm_flags(str(tmp_path), "name", 1234, options)
    assert command[command.index("--tokenizer") + 1] == str(tmp_path)


# A server whose engine runs in a process of its own; both ignore the signal that asks them to end.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
time.sleep(600)
"""


@pytest.mark.slow
def test_a_server_and_its_children_end_with_the_process_that_started_them(tmp_path):
    """`lab_servers` checks the same of vLLM when it stops."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from hindsight.servers.vllm_process import *\n"
        "server = start('m', 'm', ServeOptions(command=sys.argv[2])); print(server.process.pid, flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", code, ROOT, f"{sys.executable} {tmp_path / 'stubborn.py'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        group = int(parent.stdout.readline())
        while len(processes_of(group)) < 2:
            assert parent.poll() is None
            time.sleep(0.1)
        parent.kill()
    until = time.monotonic() + 60
    while processes_of(group) and time.monotonic() < until:
        time.sleep(0.2)
    assert processes_of(group) == []
