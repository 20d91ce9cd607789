"""A `python` that runs our scripts as forks of a process that imports what they import once.

    subprocess.run(["bash", "-c", f"{quick_python()} merge_models.py --dry_run"])

The first call of a script is a real start, as a user's is; so is each call of any other program. A fork has the
caller's folder, environment and files, its exit status is that of the call, and it ends when the caller ends. With
`pytest -n`, the processes that run tests are forks too. `quick_scripts` asks for forks without a shell.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import types
from functools import cache
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]
# The slower scripts, and what they import only when they need it
ASKS, DRAWS = ("openai.types.chat", "httpcore2"), ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf")
MODELS = ("analysis.measures.next_token_entropy", "transformers.models.auto.tokenization_auto")
MODELS += ("transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama")
SCRIPTS = {
    "single_model_inference.py": ASKS,
    "switching_inference.py": ASKS,
    "format_converter.py": (*ASKS, "openai.resources.batches", "openai.resources.files"),
    "convert_to_data.py": (),
    "pass_at_k_plot.py": ("matplotlib.figure", "matplotlib.backends.backend_svg", *DRAWS),
    "merge_models.py": (),
    "analysis/embed.py": ("sentence_transformers",),
    "analysis/entropy.py": ("analysis.display.entropy_figure", *DRAWS, *MODELS),
}
# Their own tests start them; a start with PyTorch and transformers takes over ten seconds
STARTED_ELSEWHERE = {"analysis/embed.py", "analysis/entropy.py"}
# What a process of `pytest -n` imports, apart from the tests. It is started with a line of code.
WORKER = "-c"
TESTS = ("pytest", "hypothesis", "xdist.remote", "torch", "transformers", "datasets", "fastapi", "uvicorn")
TESTS += ("scipy.stats", "scipy.optimize", "tokenizers", "nbclient", "IPython", "sacrebleu", "matplotlib.figure")
TESTS += ("safetensors.torch", "single_model_inference", "convert_to_data", "hindsight.merging.merge")
VARIABLE = "HINDSIGHT_QUICK_PYTHON"  # the variables that name the shared `python`s begin with it
NUMBER = struct.Struct("<q")
REAL = 0  # instead of the fork's process id: the caller should start the program itself

CALLER = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({address!r})
call = json.dumps({{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}})
socket.send_fds(server, [call.encode()], [0, 1, 2])
if not any(server.recv(8)):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
status = int.from_bytes(server.recv(8), "little", signed=True)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@cache
def quick_python(use: str = "COMMANDS") -> Path:
    """The path of a `python`: one of all processes of `pytest -n`, or one whose server ends with this process.

    use: COMMANDS in a shell, WORKERS of `pytest -n`, or QUICK scripts. Each has its own server: a process that has
    imported much takes long to fork.
    """
    if (name := f"{VARIABLE}_{use}") in os.environ:
        return Path(os.environ[name])
    python = QuickPython(Path(tempfile.mkdtemp(prefix="quick_python_")))
    atexit.register(python.end)
    return python.path


def address_of(python: Path) -> str:
    """The address of its server, an abstract socket."""
    return f"\0{python}"


class QuickPython:
    """The server, and the path of the `python` that asks it."""

    def __init__(self, folder: Path):
        self.path = folder / "python"
        self.path.write_text(CALLER.format(python=sys.executable, address=address_of(self.path)))
        self.path.chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(address_of(self.path))
            listener.listen(64)
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def end(self) -> None:
        """Ends the server, and removes the `python`."""
        self._server.communicate()  # closes the pipe, by which the server ends
        shutil.rmtree(self.path.parent)


class Fork:
    """A script that a server runs as a fork: words, folder and environment as of a command, and files for its output.

    It ends with this object. Its pauses are short, see `shorten_pauses`.
    """

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str], files: list[int]):
        call = {"words": words, "folder": str(folder), "environment": environment, "quick": True}
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect(address_of(quick_python("QUICK")))
        socket.send_fds(self._server, [json.dumps(call).encode()], files)
        (self.pid,) = NUMBER.unpack(self._server.recv(8))
        self.exitcode = None

    def wait(self, seconds: float | None) -> int | None:
        """Its exit status, negative for a signal; None if it still runs after so many seconds."""
        if self.exitcode is None and select.select([self._server], [], [], seconds)[0]:
            (self.exitcode,) = NUMBER.unpack(self._server.recv(8))
            self._server.close()
        return self.exitcode


class Server:
    """Answers calls with forks of this process until the pipe to the tests is closed."""

    def __init__(self, listener: socket.socket):
        self.selector, self.listener = selectors.DefaultSelector(), listener
        self.seen = STARTED_ELSEWHERE | {WORKER}
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
        name = WORKER if call["words"][:2] == ["-u", "-c"] else "".join(call["words"][:1]).removeprefix(f"{ROOT}/")
        if name not in self.seen and "quick" not in call:
            self.seen.update({name} & set(SCRIPTS))
            with contextlib.suppress(OSError), caller:
                caller.send(NUMBER.pack(REAL))
        elif pid := fork_with(name):
            with contextlib.suppress(OSError):
                caller.send(NUMBER.pack(pid))
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
            caller.send(NUMBER.pack(status))


def fork_with(name: str) -> int:
    """Forks this process after it has imported what a script imports; the new process' id, 0 in that process."""
    modules = TESTS if name == WORKER else (name.removesuffix(".py").replace("/", "."), *SCRIPTS.get(name, ()))
    if missing := [module for module in modules if module not in sys.modules]:
        for module in missing:
            importlib.import_module(module)
        gc.freeze()  # what is imported is not searched for garbage: that would copy its memory
    if name != WORKER:
        compiled(str(ROOT / name))
    return os.fork()


@cache
def compiled(path: str) -> types.CodeType:
    """A script as code."""
    return compile(Path(path).read_bytes(), path, "exec")


def shorten_pauses() -> None:
    """Makes the client's back-off and the pauses between probes of a server short."""
    from hindsight.conversion import batch_endpoint
    from hindsight.servers import budgets, client

    client.FIRST_WAIT, client.LONGEST_WAIT = 0.01, 0.05
    client.PROBE_SECONDS = batch_endpoint.POLL_SECONDS = 0.05
    budgets.MINUTE = 1.0


def new_stream(number: int, buffering: int) -> TextIO:
    """A stream to a file descriptor: this process's own streams are of other files, which could seek, say."""
    return os.fdopen(number, "w", buffering, closefd=False)


def run_as_main(words: list[str]) -> None:
    """Runs a script, or a line of code, as the module `__main__`."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if words[0] == WORKER:
        sys.argv, sys.path[0], code = [WORKER, *words[2:]], "", words[1]
    else:
        path = Path(words[0]).absolute()
        sys.argv, sys.path[0], code = words, str(path.parent), compiled(str(path))
        main.__file__ = words[0]
    exec(code, vars(main))


def be_script(call: dict, files: list[int]) -> None:
    """Runs the script in this new process, as Python would, and ends."""
    status, words = 1, [word for word in call["words"] if word != "-u"]
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        gc.enable()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        buffering = 1 if "quick" in call else -1
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0, closefd=False), new_stream(1, buffering), new_stream(2, 1)
        if "quick" in call:
            shorten_pauses()
        run_as_main(words)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those who asked for forks
    importlib.import_module("hindsight.files.runs").versions()  # read once
    Server(socket.socket(fileno=int(sys.argv[1]))).run()
    os._exit(0)  # without the remarks of libraries that count what they leave
