"""The programs of tests/data/hostile in the judge, with all layers and with each smaller set that suffices.

`hostile_programs` explains the files. Besides the verdict, a test checks everything that a program must not reach: a
user's files, process and servers, the repository, temporary folders, and the program judged after it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hostile_programs import ROOT, SECRET, Bait, children, descendants, ended, read_all

from hindsight.errors import UserError
from SkyThought.problem_tests import make_tests
from SkyThought.sandbox.prelude import wants_more
from SkyThought.taco import TACOTaskHandler

pytestmark = pytest.mark.slow  # together they take over ten seconds

LAYERS = {
    "all": ("namespaces", "landlock", "seccomp"),
    "landlock": ("landlock", "seccomp"),
    "namespaces": ("namespaces", "seccomp"),
}
PROGRAMS = read_all()
PLAIN = "print(input() * 20000)"
SECONDS = 300  # for one program, on a busy machine
SPARE_DESCRIPTORS = 200


class Judges:
    """Handlers for each set of layers and limits, made when first needed, and the bait."""

    def __init__(self, bait: Bait):
        self.bait, self.handlers, self.refused = bait, {}, {}
        self.large = set()  # handlers whose process with more modules runs

    def get(self, layers: str, limits: dict, source: str = "") -> TACOTaskHandler:
        """A handler whose process for a program runs. Skips the test if the kernel does not allow the layers."""
        if layers in self.refused:
            pytest.skip(self.refused[layers])
        key = (layers, *limits.items())
        if key not in self.handlers:
            handler = TACOTaskHandler(**limits, layers=LAYERS[layers])
            try:
                handler.protection()
            except UserError as error:
                self.refused[layers] = str(error)
                pytest.skip(str(error))
            self.handlers[key] = handler
        if wants_more(source) and key not in self.large:
            self.large.add(key)
            judged(self.handlers[key], "import numpy", "", "")
        return self.handlers[key]

    def close(self) -> None:
        for handler in self.handlers.values():
            handler.close()
        self.handlers.clear()


def judged(judge: TACOTaskHandler, program: str, text: str, expected: str) -> dict:
    """The verdict on a program with one test."""
    return judge.judge(program, make_tests({"inputs": [text], "outputs": [expected]}))


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    """Judges whose own environment, home directory and open files are worth stealing."""
    before = children(os.getpid())
    folder = tmp_path_factory.mktemp("bait")
    temporary = tmp_path_factory.mktemp("temporary")
    bait = Bait(folder)
    spare = [os.open(bait.home / "secret.txt", os.O_RDWR) for _ in range(SPARE_DESCRIPTORS)]
    for descriptor in spare:
        os.set_inheritable(descriptor, True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("HOME", str(bait.home))
        patch.setenv("SECRET_KEY", SECRET)
        patch.setenv("HF_TOKEN", SECRET)
        judges = Judges(bait)
        yield judges
        judges.close()
    for descriptor in spare:
        os.close(descriptor)
    bait.close()
    assert children(os.getpid()) == before
    assert [path for path in temporary.iterdir() if path.suffix != ".lock"] == []


@pytest.fixture(autouse=True)
def deadline():
    """A judge that hangs fails its test instead of stopping all tests."""

    def fail(number, frame):
        raise TimeoutError(f"the judge took more than {SECONDS} seconds")

    handler = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)


def wait_for_idle(processes: set[int]) -> set[int]:
    """This process's descendants once they equal `processes` again, or after a minute."""
    deadline = time.monotonic() + 60
    while (now := descendants(os.getpid())) != processes and time.monotonic() < deadline:
        time.sleep(0.001)
    return now


# Programs that need no containment get the same verdict with any layers; HINDSIGHT_EVERY=1 tests that too.
CASES = [
    pytest.param(layers, program, id=f"{layers}-{program.name}")
    for layers in LAYERS
    for program in PROGRAMS
    if layers == "all" or os.environ.get("HINDSIGHT_EVERY") == "1" or any("contained" in test for test in program.tests)
]


@pytest.mark.parametrize(("layers", "program"), CASES)
def test_hostile_and_awkward_programs_get_their_verdict_and_change_nothing(judges, layers, program):
    judge = judges.get(layers, program.limits, program.source)
    idle = descendants(os.getpid())
    result = judge.judge(program.source, make_tests(program.problem(judges.bait.names)))
    assert program.verdict_is_expected(result["reason"]), (result["reason"], result["tests"][-1:])
    assert result["correctness"] is (result["reason"] == "")
    assert judges.bait.touched() == []
    assert judged(judge, PLAIN, "xyz", "xyz" * 20000)["correctness"], "the program judged after it"
    assert wait_for_idle(idle) == idle


def test_there_are_enough_different_programs():
    assert len(PROGRAMS) >= 70
    assert len({program.source for program in PROGRAMS}) == len(PROGRAMS)
    assert len({verdict for program in PROGRAMS for verdict in program.verdicts}) > 20


def test_the_judge_needs_little_memory_for_any_output(judges):
    """64 MiB of short words, the most that a program may print, and as many numbers."""
    judge = judges.get("all", {"timeout": 4.0, "memory_mb": 1024})
    for word, expected in (("11 ", "11 "), ("1.5 ", "1.5 ")):
        program = f"print({word!r} * (({60 << 20}) // {len(word)}))"
        before = peak_memory(reset=True)
        assert judged(judge, program, "", expected * 100)["reason"] == "wrong answer"
        assert peak_memory() - before < 400 << 20


def test_the_judge_needs_little_time_and_memory_for_any_returned_value(judges):
    """Forged values with the most items and the longest integers that fit into what a function may return."""
    judge = judges.get("all", {"timeout": 4.0, "memory_mb": 1024})
    forged = "import os\ndef f(x):\n data = memoryview({})\n while data: data = data[os.write(100, data):]\n return 2"
    tests = make_tests({"fn_name": "f", "inputs": [[1]], "outputs": [1]})
    for items in ('b"{}," * 10_000_000', 'b"[" * 10_000_000', '(b"9" * 190_000 + b",") * 300', 'b"1," * 15_000_000'):
        start, before = time.monotonic(), peak_memory(reset=True)
        value = f"""b'{{"value": ["list", [' + {items} + b'{{}}]]}}\\n'"""
        assert judge.judge(forged.format(value), tests)["correctness"] is False
        assert peak_memory() - before < 500 << 20
        assert time.monotonic() - start < 120


HOLDS_PIPES = """
import ctypes, fcntl, os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
held = []
try:
    while True:
        held.append(os.pipe())
        try:
            fcntl.fcntl(held[-1][1], fcntl.F_SETPIPE_SZ, 1 << 20)
        except OSError:
            continue
except OSError:
    ctypes.CDLL(None).prctl(15, b"holds pipes")
    signal.sigwait([signal.SIGUSR1])
"""


def wait_for(condition, seconds: float = SECONDS):
    """What a condition is once it is true, or after this time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return found


def named(name: str, above: int) -> list[int]:
    """The descendants of process `above` that gave themselves this name."""
    found = []
    for pid in descendants(above):
        with suppress(OSError):  # it has ended
            found += [pid] * (Path(f"/proc/{pid}/comm").read_text() == f"{name}\n")
    return found


def test_a_program_that_holds_all_pipes_of_the_user_does_not_stop_other_programs(judges):
    """When a user's memory for pipes is used up, the kernel makes new ones small; inputs must still fit."""
    limits = {"timeout": 30.0, "memory_mb": 1024}
    judge = judges.get("all", {"timeout": 1.0, "memory_mb": 1024})
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        hogs = [stack.enter_context(TACOTaskHandler(**limits)) for _ in range(2)]
        for hog in hogs:
            hog.protection()
        running = [pool.submit(judged, hog, HOLDS_PIPES, "", "") for hog in hogs]
        assert wait_for(lambda: len(named("holds pipes", os.getpid())) == 2)
        verdict = judged(judge, "print(len(input()))", "x" * 50_000, "50000")
        for pid in named("holds pipes", os.getpid()):
            os.kill(pid, signal.SIGUSR1)
        assert verdict["correctness"]
        assert [done.result()["reason"] for done in running] == ["", ""]


JUDGE = """
import sys
sys.path.append({tests!r})
from hostile_programs import FOLDER, read
from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler
program = read(FOLDER / "{name}.py")
judge = TACOTaskHandler(timeout=30, layers={layers})
judge.judge(program.source, make_tests(program.problem({{}})))
"""


@pytest.mark.parametrize("name", ["outlives_its_parents_death", "ignores_every_signal"])
@pytest.mark.parametrize("layers", LAYERS)
def test_a_judge_that_is_killed_takes_the_running_program_with_it(judges, tmp_path, layers, name):
    judges.get(layers, {"timeout": 1.0, "memory_mb": 1024})
    code = JUDGE.format(tests=str(ROOT / "tests" / "helpers"), name=name, layers=LAYERS[layers])
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    judge = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    assert wait_for(lambda: named("hostile", judge.pid))
    processes = descendants(judge.pid)
    judge.kill()
    judge.wait()
    assert wait_for(lambda: all(map(ended, processes)), 60)
    assert len(processes) >= 2
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def peak_memory(reset: bool = False) -> int:
    """This process's peak memory in bytes since the last reset (see proc(5), clear_refs)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
