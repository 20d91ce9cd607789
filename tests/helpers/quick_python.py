"""A `python` that runs our slower scripts as forks of a process that imports them once, for commands in a shell.

    with QuickPython(folder) as python:
        subprocess.run(["bash", "-c", f"{python} merge_models.py --dry_run"])

The first call of a script is a real start, as a user's is; so is each call of any other program. A fork has the
caller's folder, environment and files, its exit status is that of the call, and it ends when the caller ends.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The slower scripts, and what they import only when they need it
ASKS, DRAWS = ("openai.types.chat", "httpcore2"), ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf")
MODELS = ("analysis.measures.next_token_entropy", "transformers.models.auto.tokenization_auto")
MODELS += ("transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama")
SCRIPTS = {
    "single_model_inference.py": ASKS,
    "switching_inference.py": ASKS,
    "format_converter.py": (),
    "convert_to_data.py": (),
    "pass_at_k_plot.py": ("matplotlib.figure", *DRAWS),
    "merge_models.py": (),
    "analysis/embed.py": ("sentence_transformers",),
    "analysis/entropy.py": ("analysis.display.entropy_figure", *DRAWS, *MODELS),
}
# Their own tests start them; a start with PyTorch and transformers takes over ten seconds
STARTED_ELSEWHERE = {"analysis/embed.py", "analysis/entropy.py"}
REAL = 1 << 16  # what the server answers if the caller should start the program itself

CALLER = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({address!r})
call = json.dumps({{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}})
socket.send_fds(server, [call.encode()], [0, 1, 2])
status = int.from_bytes(server.recv(8), "little", signed=True)
if status == {real}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class QuickPython:
    """The server, and the path of the `python` that asks it."""

    def __init__(self, folder: Path):
        self._python, self._address = folder / "python", f"\0python of {os.getpid()}"  # an abstract socket

    def __enter__(self) -> Path:
        self._python.write_text(CALLER.format(python=sys.executable, address=self._address, real=REAL))
        self._python.chmod(0o755)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with listener:
            listener.bind(self._address)
            listener.listen(64)
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        return self._python

    def __exit__(self, *exception) -> None:
        self._server.communicate()  # closes the pipe, by which the server ends


class Server:
    """Answers calls with forks of this process until the pipe to the tests is closed."""

    def __init__(self, listener: socket.socket):
        self.selector, self.listener, self.seen = selectors.DefaultSelector(), listener, set(STARTED_ELSEWHERE)
        self.selector.register(0, selectors.EVENT_READ, self._end)
        self.selector.register(listener, selectors.EVENT_READ, self._answer)
        self.ended = False

    def run(self) -> None:
        while not self.ended:
            for key, _ in self.selector.select():
                key.data(key.fileobj)

    def _end(self, _) -> None:
        self.ended = True

    def _answer(self, listener: socket.socket) -> None:
        caller, _ = listener.accept()
        message, files, _, _ = socket.recv_fds(caller, 1 << 20, 3)
        call = json.loads(message)
        name = "".join(call["words"][:1]).removeprefix(f"{ROOT}/")
        if name not in self.seen:
            self.seen.update({name} & set(SCRIPTS))
            with contextlib.suppress(OSError), caller:
                caller.send(REAL.to_bytes(8, "little"))
        elif pid := fork_with(name):
            descriptor = os.pidfd_open(pid)
            self.selector.register(descriptor, selectors.EVENT_READ, lambda _: self._close(pid, descriptor, caller))
            self.selector.register(caller, selectors.EVENT_READ, lambda _: self._stop(descriptor, caller))
        else:
            self.selector.close()
            listener.close()
            be_script(call, files)
        for file in files:
            os.close(file)

    def _stop(self, descriptor: int, caller: socket.socket) -> None:
        """The caller has ended before its script."""
        if caller in self.selector.get_map():
            self.selector.unregister(caller)
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)

    def _close(self, pid: int, descriptor: int, caller: socket.socket) -> None:
        """The script has ended."""
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for each in {descriptor, caller} & {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.unregister(each)
        os.close(descriptor)
        with contextlib.suppress(OSError), caller:
            caller.send(status.to_bytes(8, "little", signed=True))


def fork_with(name: str) -> int:
    """Forks this process after it has imported what a script imports; the new process' id, 0 in that process."""
    modules = [name.removesuffix(".py").replace("/", "."), *SCRIPTS[name]]
    if missing := [module for module in modules if module not in sys.modules]:
        for module in missing:
            importlib.import_module(module)
        gc.freeze()  # what is imported is not searched for garbage: that would copy its memory
    return os.fork()


def new_stream(number: int) -> io.TextIOWrapper:
    """A stream to a file descriptor: this process's own streams are of other files, which could seek, say."""
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), line_buffering=number == 2)


def be_script(call: dict, files: list[int]) -> None:
    """Runs the script in this new process, as Python would, and ends."""
    status = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        gc.enable()
        sys.argv, sys.path[0] = call["words"], str(Path(call["words"][0]).absolute().parent)
        sys.stdout, sys.stderr = map(new_stream, (1, 2))
        script = sys.modules["__main__"] = types.ModuleType("__main__")
        script.__file__ = sys.argv[0]
        exec(compile(Path(sys.argv[0]).read_bytes(), sys.argv[0], "exec"), vars(script))
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    gc.disable()
    importlib.import_module("hindsight.files.runs").versions()  # read once
    Server(socket.socket(fileno=int(sys.argv[1]))).run()
    os._exit(0)  # without the remarks of libraries that count what they leave
