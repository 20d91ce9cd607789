"""The layers that contain programs: which are on, what is possible without them, ordinary accounts, leftovers.

test_hostile.py runs hostile programs with them.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

import pytest
from scripts import ROOT

from hindsight.errors import UserError
from SkyThought.execution import warm_process_handle
from SkyThought.problem_tests import make_tests
from SkyThought.sandbox.layers import LAYERS
from SkyThought.sandbox.namespaces import readable_paths
from SkyThought.sandbox.program_folder import empty_folder
from SkyThought.taco import TACOTaskHandler

SQUARE = make_tests({"inputs": ["3\n"], "outputs": ["9\n"]})
NOBODY = 65534
AS_A_USER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler
tests = make_tests({"inputs": ["3"], "outputs": ["9"]})
for layers in (("namespaces", "landlock", "seccomp"), ("landlock", "seccomp"), ("namespaces", "seccomp")):
    with TACOTaskHandler(layers=layers) as judge:
        programs = ("print(int(input()) ** 2)", "open('/etc/passwd')", "import os; os.fork()")
        print(*[judge.judge(program, tests)["reason"].split(": ")[-1] or "correct" for program in programs])
"""  # fmt: skip

OLD_LANDLOCK = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from SkyThought.sandbox import kernel, layers
from SkyThought.sandbox.attacks import successful_attacks
parent, library, version = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
if kernel.landlock_version() < version:
    sys.exit("no such Landlock here")
kernel.landlock_version = lambda: version
layers.readable_paths = lambda: [library.parent]
sandbox = layers.Sandbox(["landlock", "seccomp"], parent)
sandbox.enter()
print(*sandbox.on, successful_attacks(sandbox, os.getppid(), parent), flush=True)
sandbox.contain_program(os.getpid())
for path in (library, parent / "secret"):
    for mode in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, 3):
        try:
            os.open(path, mode | os.O_TRUNC)
        except PermissionError:
            print("refused")
os.close(os.open(parent / "box" / "own", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
print(library.read_text())
"""


def reason(judge, program, tests=SQUARE):
    return judge.judge(program, tests)["reason"]


@pytest.mark.parametrize("layers", [LAYERS, LAYERS[1:], ("namespaces", "seccomp")])
def test_the_judge_names_the_layers_that_are_on_and_off(layers):
    with TACOTaskHandler(layers=layers) as judge:
        try:
            sentence = judge.protection()
        except UserError as error:
            pytest.skip(str(error))
        assert reason(judge, "print(int(input()) ** 2)") == ""
    assert sentence.startswith("Programs are contained by")
    for name in LAYERS:
        off = f"no {name} (switched off)" in sentence
        assert off == (name not in layers), sentence


@pytest.mark.parametrize(
    ("layers", "open_to"),
    [
        ((), "read the judge's files"),
        (("seccomp",), "read /etc/passwd"),
        (("landlock",), "open a datagram socket"),
        (("namespaces",), "start a process"),
        (("namespaces", "landlock"), "start a process"),
    ],
)
def test_insufficient_layers_are_refused_with_what_a_program_could_do(layers, open_to):
    judge = TACOTaskHandler(layers=layers)
    with pytest.raises(UserError, match="Programs cannot be contained here") as refused:
        judge.protection()
    assert open_to in str(refused.value)
    assert "switched off" in str(refused.value)
    with TACOTaskHandler(layers=layers, unsafe=True) as judge:
        assert f"a program could {open_to}" in judge.protection() or open_to in judge.protection()
        assert reason(judge, "print(int(input()) ** 2)") == ""


@pytest.mark.parametrize("version", [1, 2, 3])
def test_landlock_of_an_older_kernel_suffices_and_what_may_be_read_cannot_be_truncated(tmp_path, version):
    """Before its version 3 Landlock lets a file that may only be read be opened with O_TRUNC, which empties it."""
    library = tmp_path / "lib" / "module.py"
    for folder in ("lib", "box"):
        (tmp_path / folder).mkdir()
    library.write_text("kept")
    (tmp_path / "secret").write_text("secret")
    command = [sys.executable, "-c", OLD_LANDLOCK, ROOT, tmp_path, library, str(version)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.stderr.endswith(("no such Landlock here\n", "Function not implemented\n", "Operation not supported\n")):
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.stdout.splitlines() == [f"Landlock (version {version}) seccomp []", *["refused"] * 8, "kept"], done
    assert (tmp_path / "secret").read_text() == "secret"


def test_an_unknown_layer_is_refused():
    with pytest.raises(UserError, match="'firewall' is not a layer"):
        TACOTaskHandler(layers=("seccomp", "firewall"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_account_suffices(tmp_path_factory):
    python = next((path for path in (sys.executable, "/usr/bin/python3") if _can_run(path)), None)
    if python is None:
        pytest.skip("no Python here that an ordinary account may run with this repository")
    command = [python, "-B", "-c", AS_A_USER, str(ROOT)]
    done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, cwd="/")
    errors = ("FileNotFoundError", "PermissionError", "FileNotFoundError")
    assert done.stdout.splitlines() == [f"correct {error} BlockingIOError" for error in errors], done.stderr


def _can_run(python: str) -> bool:
    check = f"import sys; sys.path.insert(0, {str(ROOT)!r}); assert sys.version_info >= (3, 11); import SkyThought.taco"
    try:
        done = subprocess.run([python, "-B", "-c", check], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    except OSError:
        return False
    return done.returncode == 0


def test_python_and_libraries_may_be_read_but_not_the_repository_or_home():
    paths = readable_paths()
    assert Path("/usr/lib") in paths or Path("/usr") in paths
    assert not any(path in (ROOT, *ROOT.parents) for path in paths)
    assert not any(path in (Path.home(), *Path.home().parents) for path in paths)


def test_a_program_reads_its_own_text_and_finds_nothing_else_in_its_folder():
    program = "import os\nassert os.listdir() == ['program.py'] and 'os' in open(__file__).read()\nopen('more', 'w')"
    tests = make_tests({"inputs": ["", ""], "outputs": ["", ""]})
    with TACOTaskHandler() as judge:
        assert reason(judge, program, tests) == ""
        changing = "assert open(__file__).read().count('#') == 1\nopen(__file__, 'a').write(2 * chr(35))"
        assert reason(judge, changing, tests) == ""
        assert reason(judge, program, tests) == ""


def test_folders_of_killed_judges_are_removed_by_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = ("999999999-gone", f"{os.getpid()}-mine", "x-other", "999999998-of_another_container")
    folders = [tmp_path / f"{warm_process_handle.PREFIX}{name}" for name in names]
    for folder in folders:
        (folder / "box").mkdir(parents=True)
        (folder / "secret").touch()
    with (folders[-1] / "secret").open() as used:
        fcntl.flock(used, fcntl.LOCK_EX)
        warm_process_handle.remove_leftovers()
    assert [folder.exists() for folder in folders] == [False, True, True, True]


def test_a_folder_is_emptied_of_everything_that_a_program_can_create(tmp_path):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c" / "file").write_text("x")
    (tmp_path / "a" / "b" / "link").symlink_to("/")
    (tmp_path / "a" / "b").chmod(0)
    (tmp_path / "dangling").symlink_to("nowhere")
    with chdir(tmp_path):
        for _ in range(1500):  # a path of 6000 characters, longer than any call accepts
            Path("ddd").mkdir()
            os.chdir("ddd")
    empty_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler, so no kernel headers to compare with")
def test_the_numbers_of_system_calls_are_those_of_the_kernels_headers():
    from SkyThought.sandbox import kernel, system_calls

    every = {
        **system_calls.DENIED, **system_calls.FIRST_ARGUMENT_ZERO, **system_calls.NO_PROCESSES,
        **system_calls.NOT_FOR_PROGRAMS, **system_calls.OWN_PROCESS_ONLY,
        "open": (2, None), "openat": (257, 56), "openat2": system_calls.OPENAT2,
    }  # fmt: skip
    names = [name for name, numbers in every.items() if numbers[0 if kernel.X86 else 1] is not None]
    text = "#include <sys/syscall.h>\n" + "\n".join(f"{name} SYS_{name}" for name in names)
    done = subprocess.run(["gcc", "-E", "-P", "-"], input=text, capture_output=True, text=True, check=True)
    found = dict(line.split() for line in done.stdout.splitlines() if line.split()[:1] and line.split()[0] in every)
    known = {name: str(every[name][0 if kernel.X86 else 1]) for name in found if found[name].isdigit()}
    assert len(known) > 100
    assert {name: found[name] for name in known} == known
