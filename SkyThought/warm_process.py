"""The warm process: a helper interpreter with everything imported, which forks a child for each program.

    python -m SkyThought.warm_process CONTROL_FD FOLDER

Started and spoken to by `execution`, over a socket that keeps messages apart, all of them JSON:

    to it     a request (see `execution`) with three descriptors: the child's input, output and report pipe
              {"do": "reset"}    a new test begins: the child has its whole time again
              {"do": "kill"}     end the child
    from it   {"ready": true}
              {"pid": 123} once forked
              {"status": wait status, "cpu": seconds, "limit": "cpu" | "wall" | "killed" | null} at the end

It has one thread (a fork of more would be unsafe), watches the child's CPU time and wall time, and kills what
the child leaves behind: as the subreaper it is the parent of every orphan, also of one in a session of its
own. When the other end of the socket is gone it kills the child, removes FOLDER and ends.
"""

import ctypes
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

from SkyThought import child_process, prelude
from SkyThought.running_program import cpu_seconds

LOOK_SECONDS = 0.25  # longest time between two looks at the child's CPU time
THREAD_STACK_BYTES = 8 << 20  # of a thread, which would else be as large as the limit set for the main one
PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    control, folder = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    control.set_inheritable(False)
    del sys.path[0]  # where this package is
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    sys.set_int_max_str_digits(0)  # the limit is younger than most problems, whose programs use longer ones
    prelude.install()
    threading.stack_size(THREAD_STACK_BYTES)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise RuntimeError("a library started a thread: forking is not safe")
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        control.send(b'{"ready": true}')
        _serve(control)
    except (BrokenPipeError, ConnectionResetError):  # the judge is gone
        _kill_all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(control: socket.socket) -> None:
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1 << 16, 3)
        if not message:
            return
        if not fds:  # meant for a child that had ended by then
            continue
        request = json.loads(message)
        warm = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                child_process.run(request, fds, warm)
            except BaseException:
                traceback.print_exc()
            finally:  # the one end that is never a verdict
                os.kill(os.getpid(), signal.SIGKILL)
        for fd in fds:
            os.close(fd)
        control.send(json.dumps({"pid": pid}).encode())
        limit = _watch(control, pid, request["timeout"], request["wall"])
        _kill_group(pid)
        _, status, usage = os.wait4(pid, 0)
        _kill_all()
        end = {"status": status, "cpu": usage.ru_utime + usage.ru_stime, "limit": limit}
        control.send(json.dumps(end).encode())


def _watch(control: socket.socket, pid: int, cpu_limit: float, wall_limit: float) -> str | None:
    """Wait until the child has ended (None) or must be ended: "cpu", "wall", or "killed" when the judge said
    so.
    """
    ended = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(control, select.POLLIN)
    cpu_start, wall_start = 0.0, _wall_seconds(pid)
    try:
        while True:
            cpu_left = cpu_limit - (cpu_seconds(pid) - cpu_start)
            wall_left = wall_limit - (_wall_seconds(pid) - wall_start)
            wait = max(0.001, min(cpu_left, wall_left, LOOK_SECONDS))
            ready = [fd for fd, _ in poller.poll(wait * 1000)]
            if ended in ready:
                return None
            if control.fileno() in ready:
                message = control.recv(1 << 16)
                if not message or json.loads(message)["do"] == "kill":
                    return "killed"
                cpu_start, wall_start = cpu_seconds(pid), _wall_seconds(pid)
            elif cpu_left <= 0 or wall_left <= 0:
                return "cpu" if cpu_left <= 0 else "wall"
    finally:
        os.close(ended)


def _wall_seconds(pid: int) -> float:
    """Wall time but for what the process spent waiting for a core: a busy machine is not the program's fault."""
    try:
        waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # a kernel that does not count it
        waited = 0.0
    return time.monotonic() - waited


def _kill_group(pid: int) -> None:
    for kill in (os.kill, os.killpg):  # the child may not have made its group yet
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _kill_all() -> None:
    """Kill and reap every process that is left; killing one makes its children this process's."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main()
