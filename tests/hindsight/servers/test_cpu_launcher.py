"""Servers as forks of one process. Here each runs a line of Python; `test_real_servers` looks at those of vLLM."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT, wait_until

from hindsight.servers.cpu_launcher import ForkedServer, Launcher

PROGRAM = """
import os, socket
from hindsight.servers.cpu_server import begin, fork_on_request
if forked := fork_on_request(socket.socket(fileno=os.dup(0))):
    begin(*forked)
    exec(forked[0]["arguments"][0])
"""
SLEEP = "import time; print('sleeping', flush=True); time.sleep(600)"


@pytest.fixture
def start(tmp_path):
    """Starts a "server" that runs a line, with the same launcher each time; its output goes to tmp_path/output."""
    launcher = Launcher([sys.executable, "-c", PROGRAM])

    def run(line, **environment):
        with (tmp_path / "output").open("wb") as output:
            return launcher.start([line], {**os.environ, "PYTHONPATH": str(ROOT), **environment}, output)

    return run


def test_each_server_has_its_own_environment_session_and_output_and_reports_its_end(start, tmp_path):
    assert start("raise SystemExit(3)").wait(60) == 3
    server = start("import os; print(os.environ['WORD'], os.getsid(0) == os.getpid())", WORD="two")
    assert (server.wait(60), server.poll()) == (0, 0)
    assert (tmp_path / "output").read_text() == "two True\n"


def test_a_server_has_its_number_of_threads_but_what_is_imported_before_is_ready_for_any(start, tmp_path):
    look = "b'OMP_NUM' in open(f'/proc/{os.getppid()}/environ', 'rb').read()"
    line = f"import os; print(os.environ['OMP_NUM_THREADS'], {look})"
    assert start(line, OMP_NUM_THREADS="1").wait(60) == 0
    assert (tmp_path / "output").read_text() == "1 False\n"


def test_a_running_server_is_ended_by_a_signal_and_then_no_signal_is_sent(start):
    server, other = start(SLEEP), start(SLEEP)
    assert server.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        server.wait(0.01)
    server.terminate()
    assert server.wait(60) == -signal.SIGTERM
    server.kill()
    assert other.poll() is None
    other.kill()
    assert other.wait(60) == -signal.SIGKILL


def test_a_start_that_is_interrupted_leaves_no_server(start):
    """It is interrupted while the launcher's process, stopped here, has not answered yet."""
    server = start(SLEEP)
    parent = int(Path(f"/proc/{server.pid}/stat").read_text().split()[3])
    os.kill(parent, signal.SIGSTOP)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        start(SLEEP)
    os.kill(parent, signal.SIGCONT)
    last = start(SLEEP)
    children = Path(f"/proc/{parent}/task/{parent}/children")
    wait_until(lambda: children.read_text().split() == [str(server.pid), str(last.pid)], 60)
    for each in (server, last):
        each.kill()


@pytest.mark.parametrize("ends_first", [False, True])
def test_what_cannot_be_imported_ends_the_start_with_its_reason(tmp_path, monkeypatch, ends_first):
    launcher = Launcher([sys.executable, "-c", "import no_such_module"])
    send = socket.send_fds
    if ends_first:
        monkeypatch.setattr(socket, "send_fds", lambda *request: launcher._running[0].wait() and send(*request))
    with (tmp_path / "output").open("wb") as output:
        server = launcher.start([], os.environ, output)
    assert not isinstance(server, ForkedServer) and server.poll() == 1
    assert "No module named 'no_such_module'" in (tmp_path / "output").read_text()


@pytest.mark.slow
def test_servers_end_with_the_process_that_started_them_even_if_it_is_killed(tmp_path):
    program = f"""
import os, sys, time
from hindsight.servers.cpu_launcher import Launcher
with open({str(tmp_path / "output")!r}, "wb") as output:
    server = Launcher([sys.executable, "-c", {PROGRAM!r}]).start([{SLEEP!r}], dict(os.environ), output)
print(server.pid, flush=True)
time.sleep(600)
"""
    command, environment = [sys.executable, "-c", program], {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as parent:
        server = Path("/proc") / parent.stdout.readline().strip()
        wait_until(lambda: "sleeping" in (tmp_path / "output").read_text(), 60)
        assert server.exists()
        parent.kill()
    wait_until(lambda: not server.exists(), 60)
