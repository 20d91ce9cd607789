"""What containers without privileges forbid, imposed on the judge by other means: which layers contain programs there.

Docker's filter of system calls refuses `unshare` to a container without privileges. podman's allows it, but parts of
the container's /proc are hidden, so the kernel refuses to mount another one. tests/jobs/test_containers.py runs real
containers.
"""

import errno
import subprocess
import sys

import pytest
from scripts import ROOT

from SkyThought.sandbox.kernel import X86, landlock_version

UNSHARE, LANDLOCK = 272 if X86 else 97, 444
DOCKER, NO_LANDLOCK = {UNSHARE: errno.EPERM}, {LANDLOCK: errno.ENOSYS}
HIDE_PART_OF_PROC = """
user, group = os.getuid(), os.getgid()
kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
kernel.mount("tmpfs", "/proc/fs", "tmpfs", kernel.MS_RDONLY)
"""
JUDGE = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from hindsight.errors import UserError
from SkyThought.problem_tests import make_tests
from SkyThought.sandbox import kernel, system_calls
from SkyThought.taco import TACOTaskHandler
{hide}
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
rules = [rule for number, error in {refused}.items() for rule in system_calls._deny((number, number), error)]
kernel.Filter([(0x20, 0, 0, 0), *rules, (0x06, 0, 0, 0x7FFF0000)]).install()
tests = make_tests({{"inputs": ["3"], "outputs": ["9"]}})
programs = (
    "print(int(open('/dev/stdin').read()) ** 2)", "open('/etc/passwd')", "import os; os.fork()",
    "import socket; socket.socket()", f"open('/proc/{{os.getpid()}}/environ').read()", "open('../escaped', 'w')",
)
try:
    with TACOTaskHandler() as judge:
        print(judge.protection())
        print(*[judge.judge(program, tests)["reason"] or "correct" for program in programs], sep=", ")
except UserError as error:
    print(error)
"""


def judge_under(refused: dict[int, int], hide: str = "") -> list[str]:
    """What the judge prints where these system calls fail and, with `hide`, a part of /proc is hidden."""
    code = JUDGE.format(root=str(ROOT), hide=hide, refused=refused)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "unshare: Operation not permitted" in done.stderr or "mount tmpfs" in done.stderr:
        pytest.skip("an ordinary account may not hide a part of /proc here")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def landlock() -> str:
    """The layer as the judge names it. Skips the test if the kernel has none."""
    try:
        return f"Landlock (version {landlock_version()})"
    except OSError as error:
        pytest.skip(f"no Landlock here: {error}")


@pytest.mark.parametrize(
    ("refused", "hide", "sentence"),
    [
        (DOCKER, "", "{landlock}, seccomp; no namespaces (unshare: Operation not permitted)"),
        ({}, HIDE_PART_OF_PROC, "namespaces (except of processes), {landlock}, seccomp"),
        (
            NO_LANDLOCK,
            HIDE_PART_OF_PROC,
            "namespaces (except of processes), seccomp; no landlock (Function not implemented)",
        ),
    ],
    ids=["docker", "podman", "podman without Landlock"],
)
def test_a_container_without_privileges_contains_programs(refused, hide, sentence):
    lines = judge_under(refused, hide)
    assert lines[0] == f"Programs are contained by {sentence.format(landlock=landlock())}."
    denied = "runtime error: PermissionError"
    outside = "runtime error: FileNotFoundError" if hide else denied
    written = "runtime error: OSError" if hide else denied
    verdicts = ["correct", outside, "runtime error: BlockingIOError", denied, denied, written]
    assert lines[1].split(", ") == verdicts


def test_a_container_that_cannot_contain_says_what_to_change():
    (line,) = judge_under(DOCKER | NO_LANDLOCK)
    reasons = "namespaces: unshare: Operation not permitted; landlock: Function not implemented"
    assert line.startswith("Programs cannot be contained here: a program could read the judge's files")
    assert reasons in line
    assert "kernel has Landlock" in line or "--security-opt seccomp=unconfined" in line
