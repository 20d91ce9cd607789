"""The warm process: contained, with everything imported, it forks a child for each test of a program.

    python -m SkyThought.sandbox.warm_process CONTROL_FD FOLDER JUDGE_PID MEMORY small|large LAYER ...

Started by `helper_process`; once it is ready, `supervisor` takes over. It has one thread (a fork of more would be
unsafe). When the judge is gone, it ends.
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
from SkyThought.sandbox.child_process import RECURSION_LIMIT, Interpreter, depth
from SkyThought.sandbox.layers import Sandbox, attacks, limit
from SkyThought.sandbox.supervisor import Supervisor

THREAD_STACK_BYTES = 8 << 20  # of a thread, which would else be as large as the limit set for the main one
REHEARSALS = 30
CONTROL_FD = 3
CALLS_TO_PROGRAM = 6  # from `main` to a program's first line, as Python counts depth


def main() -> None:
    control, parent, judge = _take_control(int(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
    del sys.path[0]  # where this package is
    _reset_signals()
    sandbox = Sandbox(sys.argv[6:], parent)
    with suppress(OSError):  # should memory run out, let it take this process
        Path("/proc/self/oom_score_adj").write_text("1000")
    sandbox.enter()
    sys.set_int_max_str_digits(0)  # the limit is younger than most problems, whose programs use longer ones
    prelude.install(large=sys.argv[5] == "large")
    _thread.stack_size(THREAD_STACK_BYTES)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("a library started a thread: forking is not safe")
    possible = _try_attacks(sandbox, judge, parent)
    limit(int(sys.argv[4]))
    _set_environment(sandbox)
    state = {"on": sandbox.on, "off": sandbox.off, "possible": possible}
    messages.send(control, messages.READY + json.dumps(state).encode())
    os.dup2(0, 2)  # what programs print to standard error goes nowhere
    interpreter = Interpreter(sandbox)
    interpreter.rehearse(REHEARSALS)
    supervisor = Supervisor(control, sandbox, interpreter)
    sys.setrecursionlimit(RECURSION_LIMIT + depth() + CALLS_TO_PROGRAM)
    gc.collect()
    gc.freeze()
    with suppress(OSError):  # the judge is gone
        supervisor.serve()


def _take_control(descriptor: int) -> socket.socket:
    """The judge's socket, and no other file: it gets a number among those that every child closes."""
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


def _try_attacks(sandbox: Sandbox, judge: int, parent: Path) -> list[str]:
    """What a contained child can do that a program must not be able to."""
    result, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        sandbox.contain_program(os.getpid())
        possible = []
        for name, attack in attacks(judge, parent).items():
            try:
                attack()
                possible.append(name)
            except OSError:
                continue
        os.write(theirs, json.dumps(possible).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(result, "rb") as file:
        possible = json.loads(file.read())
    os.waitpid(pid, 0)
    return possible


if __name__ == "__main__":
    main()
