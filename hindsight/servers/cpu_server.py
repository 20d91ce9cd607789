"""A process that imports PyTorch and vLLM once, and becomes a vLLM server for a CPU in each of its forks.

Importing takes most of the processor time of a start on a CPU, and vLLM starts its engine as a new process there, which
imports all of it again; here the engine is a fork of its server, as it is on a GPU. `cpu_launcher` starts this module
and sends it requests through its standard input, a socket; the end of the socket ends the process.
"""

import atexit
import contextlib
import gc
import json
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from hindsight.servers.vllm_process import SERVER, end_with_parent


def fork_on_request(control: socket.socket) -> tuple[dict[str, Any], int] | None:
    """Forks at each request. Returns it and the file for its output, in the new process; None where requests end.

    The new process's number, and later its exit status, go to the socket that comes with the request, in eight bytes.
    """
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                _report_end(selector, key)
                continue
            _, descriptors, _, _ = socket.recv_fds(control, 1, 3)
            if not descriptors:
                return None
            request, output, status = descriptors
            if (process := os.fork()) == 0:
                _close_all(selector, status)
                with os.fdopen(request, encoding="utf-8") as file:
                    return json.load(file), output
            os.close(request)
            os.close(output)
            _watch(selector, process, socket.socket(fileno=status))


def _watch(selector: selectors.BaseSelector, process: int, reply: socket.socket) -> None:
    if not _tell(reply, process):
        os.kill(process, signal.SIGKILL)
    selector.register(os.pidfd_open(process), selectors.EVENT_READ, (process, reply))


def _report_end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    process, reply = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    with reply:
        _tell(reply, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _tell(reply: socket.socket, number: int) -> bool:
    """Sends a number; returns whether somebody still waits for it."""
    with contextlib.suppress(OSError):
        return reply.send(number.to_bytes(8, "little", signed=True)) == 8
    return False


def _close_all(selector: selectors.BaseSelector, status: int) -> None:
    """In a new server: only this process's parent may hold them, so that their end is seen."""
    for key in selector.get_map().values():
        os.close(key.fd)
        if key.data:
            key.data[1].close()
    selector.close()
    os.close(status)


def begin(request: dict[str, Any], output: int) -> None:
    """Takes the environment and the folder of a request, as a new process would, and writes to its file.

    The process ends with the one that it is a fork of, whatever happens.
    """
    os.setsid()
    end_with_parent()
    for number in (1, 2):
        os.dup2(output, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)


def be_server(arguments: Sequence[str]) -> NoReturn:
    """Runs vLLM with these flags, as Python would, and ends this process.

    What was imported is not taken apart: that takes seconds, and prints hundreds of lines after an error's own.
    """
    sys.argv, status = [SERVER, *arguments], 1
    try:
        runpy.run_module(SERVER, run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        atexit._run_exitfuncs()  # as multiprocessing does before it ends a process like this
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    gc.disable()  # what an import leaves is no garbage; to search it again and again takes a fifth of the import's time
    import torch
    from vllm.entrypoints.openai import api_server  # noqa: F401
    from vllm.v1.engine import core, utils  # noqa: F401
    from vllm.v1.worker import cpu_model_runner, cpu_worker  # noqa: F401

    gc.freeze()
    gc.enable()
    utils.get_mp_context = partial(multiprocessing.get_context, "fork")  # pyright: ignore[reportPrivateImportUsage]
    if forked := fork_on_request(socket.socket(fileno=os.dup(0))):
        begin(*forked)
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"].split(",")[0]))  # a list has one number per level
        be_server(forked[0]["arguments"])


if __name__ == "__main__":
    main()
