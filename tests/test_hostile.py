"""The programs of tests/hostile, through the judge, with all layers and with each set that may have to do.

How a file is written is said in `hostile_programs`. Beside the verdict it is held against what a program must not get
at: somebody's files, process and servers, the repository, the temporary folders, the program judged after it.
"""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from hostile_programs import SECRET, Bait, children, descendants, read_all

from hindsight.settings import UserError
from SkyThought.taco import TACOTaskHandler, make_tests

LAYERS = {
    "all": ("namespaces", "landlock", "seccomp"),
    "landlock": ("landlock", "seccomp"),
    "namespaces": ("namespaces", "seccomp"),
}
PROGRAMS = read_all()
PLAIN = "print(input() * 20000)"
SECONDS = 60  # for one program, on a busy machine
SPARE_DESCRIPTORS = 200


class Judges:
    """Handlers, one for each set of layers and limits, made when they are first needed; what is there to be touched."""

    def __init__(self, bait: Bait):
        self.bait, self.handlers, self.refused = bait, {}, {}

    def get(self, layers: str, limits: dict) -> TACOTaskHandler:
        """With its processes running. Skips the test where the kernel does not allow the layers."""
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
            judged(handler, "import numpy", "", "")
        return self.handlers[key]

    def close(self) -> None:
        for handler in self.handlers.values():
            handler.close()
        self.handlers.clear()


def judged(judge: TACOTaskHandler, program: str, text: str, expected: str) -> dict:
    """The verdict by one test."""
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
    """A judge that hangs is a failure, not the end of the tests."""

    def fail(number, frame):
        raise TimeoutError(f"the judge took more than {SECONDS} seconds")

    handler = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)


def wait_for_idle(processes: set[int]) -> set[int]:
    """The processes of this one's once they are those again; what they are after five seconds if they are not."""
    deadline = time.monotonic() + 5
    while (now := descendants(os.getpid())) != processes and time.monotonic() < deadline:
        time.sleep(0.001)
    return now


# The limits are met the same way whatever layers are on, and take seconds.
CASES = [
    pytest.param(layers, program, id=f"{layers}-{program.name}")
    for layers in LAYERS
    for program in PROGRAMS
    if layers == "all" or not any("limit" in verdict for verdict in program.verdicts)
]


@pytest.mark.parametrize(("layers", "program"), CASES)
def test_hostile_and_awkward_programs_get_their_verdict_and_touch_nothing(judges, layers, program):
    judge = judges.get(layers, program.limits)
    idle = descendants(os.getpid())
    result = judge.judge(program.source, make_tests(program.problem(judges.bait.names)))
    assert program.verdict_is_expected(result["reason"]), (result["reason"], result["tests"][-1:])
    assert result["correctness"] is (result["reason"] == "")
    assert judges.bait.touched() == []
    assert judged(judge, PLAIN, "xyz", "xyz" * 20000)["correctness"], "the program judged after it"
    assert wait_for_idle(idle) == idle


def test_there_are_enough_programs_and_each_has_its_own_name_and_purpose():
    assert len(PROGRAMS) >= 70
    assert len({program.source for program in PROGRAMS}) == len(PROGRAMS)
    assert len({verdict for program in PROGRAMS for verdict in program.verdicts}) > 20


def test_whatever_a_program_prints_the_judge_needs_little_memory(judges):
    """64 MiB of short words, the most a program may print, and as many numbers to be compared with numbers."""
    judge = judges.get("all", {"timeout": 4.0, "memory_mb": 1024})
    for word, expected in (("11 ", "11 "), ("1.5 ", "1.5 ")):
        program = f"print({word!r} * (({60 << 20}) // {len(word)}))"
        before = peak_memory(reset=True)
        assert judged(judge, program, "", expected * 100)["reason"] == "wrong answer"
        assert peak_memory() - before < 400 << 20


def peak_memory(reset: bool = False) -> int:
    """The most memory this process has used, in bytes, since it was last reset (see proc(5), clear_refs)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
