"""The warm process: contained, with all modules imported, it forks a child for each test of a program.

    python -m SkyThought.sandbox.warm_process CONTROL_FD FOLDER JUDGE_PID MEMORY (small|large)[-plain] LAYER ...

`execution.warm_process_handle` starts it; once it is ready, `supervisor` takes over. It has one thread, because a fork
with more would be unsafe. It ends when the judge is gone.
"""

import _thread
import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from SkyThought.sandbox import kernel, messages, prelude
from SkyThought.sandbox.attacks import successful_attacks
from SkyThought.sandbox.interpreter import RECURSION_LIMIT, Interpreter, depth
from SkyThought.sandbox.layers import Sandbox, limit
from SkyThought.sandbox.program_folder import ProgramFolder
from SkyThought.sandbox.supervisor import Supervisor

THREAD_STACK_BYTES = 8 << 20  # per thread; by default it would be as large as the main thread's limit
REHEARSALS = 30
CONTROL_FD = 3
CALLS_TO_PROGRAM = 6  # from `main` to a program's first line, as Python counts recursion


def main() -> None:
    control, parent, judge = _take_control(int(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
    del sys.path[0]  # the folder of this package
    _reset_signals()
    sandbox = Sandbox(sys.argv[6:], parent)
    with suppress(OSError):  # if memory runs out, the kernel should kill this process
        Path("/proc/self/oom_score_adj").write_text("1000")
    sandbox.enter()
    sys.set_int_max_str_digits(0)  # older problems have longer integers than this recent limit allows
    size, _, plain = sys.argv[5].partition("-")
    prelude.install(size == "large", bool(plain))
    _thread.stack_size(THREAD_STACK_BYTES)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("a library started a thread, so forking is not safe")
    possible = successful_attacks(sandbox, judge, parent)
    limit(int(sys.argv[4]))
    _set_environment(sandbox)
    state = {"on": sandbox.on, "off": sandbox.off, "possible": possible}
    messages.send(control, messages.READY + json.dumps(state).encode())
    os.dup2(0, 2)  # programs' standard error is discarded
    interpreter = Interpreter(sandbox, ProgramFolder(sandbox.folder))
    interpreter.rehearse(REHEARSALS)
    supervisor = Supervisor(control, sandbox, interpreter)
    sys.setrecursionlimit(RECURSION_LIMIT + depth() + CALLS_TO_PROGRAM)
    gc.collect()
    gc.freeze()
    with suppress(OSError):  # the judge is gone
        supervisor.serve()


def _take_control(descriptor: int) -> socket.socket:
    """The judge's socket, under a number that every child closes, and no other file."""
    os.dup2(descriptor, CONTROL_FD, inheritable=False)
    os.closerange(CONTROL_FD + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=CONTROL_FD)


def _reset_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


def _set_environment(sandbox: Sandbox) -> None:
    folder = str(sandbox.folder)
    os.environ.update(HOME=folder, TMPDIR=folder, PWD=folder)
    os.environ.pop("LD_BIND_NOW", None)


if __name__ == "__main__":
    main()
