"""The warm process: contained, with everything imported, it forks a process for each program.

    python -m SkyThought.warm_process CONTROL_FD FOLDER JUDGE_PID small|large LAYER ...

Started and spoken to by `execution`; what is said is in `messages`. It has one thread (a fork of more would be
unsafe) and waits for each program's process before it takes the next. When the judge is gone, it ends.
"""

import _thread
import ctypes
import gc
import io
import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import CodeType
from typing import NoReturn

from SkyThought import kernel, messages, prelude
from SkyThought.program_process import ProgramProcess, kill_children, parse_request
from SkyThought.sandbox import Sandbox, attacks

THREAD_STACK_BYTES = 8 << 20  # of a thread, which would else be as large as the limit set for the main one


def main() -> None:
    control, parent, judge = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
    control.set_inheritable(False)
    del sys.path[0]  # where this package is
    _reset_signals()
    sandbox = Sandbox(sys.argv[5:], parent)
    Path("/proc/self/oom_score_adj").write_text("1000")  # should memory run out, let it take this process
    sandbox.enter()
    sys.set_int_max_str_digits(0)  # the limit is younger than most problems, whose programs use longer ones
    prelude.install(large=sys.argv[4] == "large")
    _thread.stack_size(THREAD_STACK_BYTES)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("a library started a thread: forking is not safe")
    possible = _try_attacks(sandbox, judge, parent)
    _set_environment(sandbox)
    prelude.rehearse(_rehearse)
    gc.collect()
    gc.disable()
    gc.freeze()
    state = {"on": sandbox.on, "off": sandbox.off, "possible": possible}
    try:
        messages.send(control, messages.READY + json.dumps(state).encode())
        _serve(control, sandbox)
    except OSError:  # the judge is gone
        return


def _reset_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


def _set_environment(sandbox: Sandbox) -> None:
    folder = str(sandbox.folder)
    os.environ.update(HOME=folder, TMPDIR=folder, PWD=folder)
    os.environ.pop("LD_BIND_NOW", None)


def _serve(control: socket.socket, sandbox: Sandbox) -> None:
    while True:
        message = messages.receive_whole(control)
        if not message:
            return
        if message[:1] != messages.PROGRAM:  # meant for a program's process that had ended by then
            continue
        pid = os.fork()
        if pid == 0:
            _become_program(control, sandbox, message)
        _, status = os.waitpid(pid, 0)
        kill_children()
        if status:
            messages.send(control, messages.DIED + str(status).encode())


def _become_program(control: socket.socket, sandbox: Sandbox, message: bytes) -> NoReturn:
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        ProgramProcess(control, sandbox, *parse_request(message)).serve()
    finally:
        os._exit(1)


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


def _rehearse(code: CodeType) -> None:
    """Run an everyday program in this process as a child would."""
    kept = sys.stdin, sys.stdout
    sys.stdin = io.TextIOWrapper(io.BytesIO(prelude.REHEARSAL_INPUT), "utf-8")
    sys.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
    try:
        exec(code, {"__name__": "__main__", "__builtins__": __builtins__})
        sys.stdout.flush()
        ctypes.get_errno()
    finally:
        sys.stdin, sys.stdout = kept


if __name__ == "__main__":
    main()
