"""Step 3 on many programs, a tenth of them hostile, and interrupted and killed repeatedly.

HINDSIGHT_PROGRAMS=10000 python -m pytest tests/SkyThought/test_many_programs.py     # judges 10,000 instead of 300
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hostile_programs import LIMITS, descendants, read_all, state
from scripts import ROOT, wait_until, write_converted

from hindsight.files.answer_files import list_files
from hindsight.files.verdicts import REASONS
from hindsight.text.program_choice import ProgramTarget, find_program
from hindsight.text.uniform_format import render
from SkyThought.problem_tests import make_tests
from SkyThought.taco import TACOTaskHandler

PROGRAMS = int(os.environ.get("HINDSIGHT_PROGRAMS", "300"))
SCRIPT = ROOT / "check_converted_samples.py"
SQUARE = {"question": "?", "input_output": json.dumps({"inputs": ["3\n", "4\n"], "outputs": ["9\n", "16\n"]})}
PLAIN = [
    ("print(int(input()) ** 2)", ""),
    ("import sys\nn = int(sys.stdin.readline())\nprint(sum([n] * n))", ""),
    ("print(int(input()) * 3)", "wrong answer"),
    ("print(int(input()) ** 2", "syntax error"),
    ("print(int(input()) ** 2 // 0)", "runtime error: ZeroDivisionError"),
    ("raise SystemExit(3)", "runtime error: exit status 3"),
]
SIGNALS = (signal.SIGINT, signal.SIGKILL, signal.SIGKILL)
ANSWERS_TO_KILL = 120
WORKERS = 4
GROWTH = 2 << 20  # bytes, for more than a hundred programs
FAMILY = 4  # processes of a warm process: a shell, one outside its namespaces, itself, and the child that runs a test


def suitable_hostile_programs():
    """Programs without bait, with the usual limits, that an answer does not change; and a few slow ones."""
    chosen = []
    for program in read_all():
        if len(program.source) > 1 << 20:  # the parser alone takes half a minute for 15 MB
            continue
        unchanged = find_program(answer(program.source), ProgramTarget()).strip("\n") == program.source.strip("\n")
        plain = unchanged and program.limits == LIMITS
        quick = len(program.verdicts) == 1 and "limit" not in program.verdicts[0]
        if plain and quick and not any("{" in test or "**" in test for test in program.tests):
            chosen.append(program)
    slow = {"infinite_loop", "sleeps_forever", "hundred_gigabytes", "endless_output"}
    return chosen + [program for program in read_all() if program.name in slow]


def answer(source):
    return render("hm", f"```python\n{source}\n```")


def write_programs(folder, count):
    """Writes answers with different programs; returns the expected reasons by file name.

    The first two thirds are plain. Then every fourth is hostile.
    """
    hostile, expected = suitable_hostile_programs(), {}
    assert len(hostile) > 100
    random.Random(0).shuffle(hostile)
    for number in range(count):
        if number % 4 == 3 and number > 2 * count // 3:
            program = hostile[(number // 4) % len(hostile)]
            problem = {"question": "?", "input_output": json.dumps(program.problem({}))}
            source = program.source.rstrip("\n")
            reason = "" if program.verdicts[0] == "correct" else program.verdicts[0]
        else:
            problem = SQUARE
            source, reason = PLAIN[number % len(PLAIN)]
        path = write_converted(folder, number // 10, number % 10, f"{source}\n# {number}", problem)
        expected[path.name] = reason
    return expected


class Stop:
    """An answer whose file is a named pipe: the script waits at it until the test has looked at its processes."""

    def __init__(self, path):
        self.path, self.text = path, path.read_bytes()
        path.unlink()
        os.mkfifo(path)

    @contextmanager
    def reached(self, process):
        """Within this, the script has judged what comes before, except a few answers, and waits."""
        found = []

        def is_read():
            assert process.poll() is None, "the script has ended"
            with suppress(OSError):  # nobody reads it yet
                found.append(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            return found

        wait_until(is_read, 300)
        yield
        os.set_blocking(found[0], True)
        with os.fdopen(found[0], "wb") as file:
            file.write(self.text)


def reasons(folder):
    records = {path.name: json.loads(path.read_text()) for path in list_files(folder, "converted").values()}
    for record in records.values():
        if "correctness" in record:
            assert record["correctness"] is (record["correctness_reason"] == "")
            assert record["correctness_reason"].split(":")[0] in ("", *REASONS)
    return {name: record.get("correctness_reason") for name, record in records.items()}


def judged(run, made):
    """The number of answers with a verdict, whose files are newer than `made`."""
    found = 0
    for entry in os.scandir(run):
        with suppress(FileNotFoundError):  # a temporary file that has just been renamed
            found += entry.name.startswith("converted_") and entry.stat().st_mtime_ns > made
    return found


def own_memory(pid):
    """The bytes of memory that a process does not share with a file: what it has allocated."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))


def open_files(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def is_zombie(pid):
    with suppress(OSError):
        return state(pid) == "Z"
    return False


def left_over(temporary):
    """The files in the temporary folder, except locks, and the processes that name it in their command line."""
    found = [str(path) for path in temporary.iterdir() if path.suffix != ".lock"]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                if str(temporary).encode() in (entry / "cmdline").read_bytes():
                    found.append(f"process {entry.name}")
            except OSError:
                continue
    return found


def wait_until_nothing_is_left(temporary, seconds=120):
    deadline = time.monotonic() + seconds
    while (found := left_over(temporary)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.fixture
def folders(tmp_path):
    """A run folder, and a temporary folder for the judge's own files."""
    run, temporary = tmp_path / "run", tmp_path / "temporary"
    run.mkdir()
    temporary.mkdir()
    return run, temporary


def start(run, temporary, *flags):
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, SCRIPT, "--input_dir", run, *map(str, flags)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_hundreds_of_programs_get_their_verdicts_and_leave_nothing_behind(folders):
    run, temporary = folders
    expected = write_programs(run, PROGRAMS)
    early, late, last = (Stop(run / list(expected)[number]) for number in (PROGRAMS // 4, 2 * PROGRAMS // 3, -1))
    before = descendants(os.getpid())
    limits = ("--timeout", LIMITS["timeout"], "--memory_mb", LIMITS["memory_mb"])
    process = start(run, temporary, "--workers", WORKERS, *limits)
    memory = []
    for stop in (early, late):  # before the hostile programs: reading a long output is not growth
        with stop.reached(process):
            memory.append(own_memory(process.pid))
            assert len(descendants(process.pid)) <= WORKERS * FAMILY
    with last.reached(process):
        assert len(descendants(process.pid)) <= 2 * WORKERS * FAMILY, "with few and with many modules imported"
        wait_until(lambda: not any(map(is_zombie, descendants(process.pid))))
    assert process.wait() == 0
    got = reasons(run)
    assert {name: (expected[name], got[name]) for name in expected if got[name] != expected[name]} == {}
    assert wait_until_nothing_is_left(temporary) == []
    assert descendants(os.getpid()) == before
    assert memory[1] - memory[0] < GROWTH


def test_a_warm_process_keeps_nothing_of_the_tests_that_it_runs():
    before, looks = descendants(os.getpid()), []
    with TACOTaskHandler() as judge:
        for number in (5, 100):
            tests = make_tests({"inputs": ["3\n"] * number, "outputs": ["9\n"] * number})
            assert judge.judge(PLAIN[0][0], tests)["correctness"]
            started = descendants(os.getpid()) - before
            looks.append({pid: (own_memory(pid), open_files(pid)) for pid in started})
    (early, files), (late, files_after) = (zip(*look.values(), strict=True) for look in looks)
    assert looks[0].keys() == looks[1].keys()
    assert sum(files_after) - sum(files) < 10, "it closes the last test's pipe after the judge has its verdict"
    assert sum(late) - sum(early) < GROWTH // 10


@pytest.mark.slow
def test_an_interrupt_and_repeated_kills_lose_no_verdict_and_make_none_wrong(folders):
    run, temporary = folders
    chance = random.Random(0)
    expected = {}
    for number in range(ANSWERS_TO_KILL):
        source, reason = PLAIN[number % len(PLAIN)]
        path = write_converted(run, number // 10, number % 10, f"{source}\n# {number}", SQUARE)
        expected[path.name] = reason
    known, made = {}, time.time_ns()
    for number in SIGNALS:
        process = start(run, temporary, "--workers", 2)
        wanted = len(known) + chance.randint(1, 20)
        while process.poll() is None and judged(run, made) < wanted:
            time.sleep(0.005)
        process.send_signal(number)
        process.wait()
        got = {name: reason for name, reason in reasons(run).items() if reason is not None}
        assert got.items() >= known.items(), "a verdict was lost"
        assert got.items() <= expected.items(), "a verdict is wrong"
        assert len(got) >= wanted
        known = got
    assert start(run, temporary, "--workers", 2).wait() == 0
    assert reasons(run) == expected
    assert wait_until_nothing_is_left(temporary) == []
