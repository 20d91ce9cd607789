"""Step 3 on many programs, a tenth of them hostile, and interrupted and killed repeatedly.

HINDSIGHT_PROGRAMS=10000 python -m pytest tests/SkyThought/test_many_programs.py     # judges 10,000 instead of 500
"""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hostile_programs import LIMITS, descendants, read_all, state
from scripts import ROOT, write_converted

from hindsight.files.answer_files import list_files
from hindsight.files.verdicts import REASONS
from hindsight.text.program_choice import ProgramTarget, find_program
from hindsight.text.uniform_format import render

PROGRAMS = int(os.environ.get("HINDSIGHT_PROGRAMS", "500"))
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
SIGNALS = (signal.SIGINT, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL)
ANSWERS_TO_KILL = 300


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
    """Writes answers with different programs; returns the expected reasons by file name."""
    hostile, expected = suitable_hostile_programs(), {}
    assert len(hostile) > 100
    for number in range(count):
        if number % 10 == 9:
            program = hostile[(number // 10) % len(hostile)]
            problem = {"question": "?", "input_output": json.dumps(program.problem({}))}
            source = program.source.rstrip("\n")
            reason = "" if program.verdicts[0] == "correct" else program.verdicts[0]
        else:
            problem = SQUARE
            source, reason = PLAIN[number % len(PLAIN)]
        path = write_converted(folder, number // 10, number % 10, f"{source}\n# {number}", problem)
        expected[path.name] = reason
    return expected


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


def tree_memory(pid):
    """The memory of a process and its descendants in MiB; shared memory counts once."""
    total = 0
    for each in (pid, *descendants(pid)):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


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
    made = time.time_ns()
    before = descendants(os.getpid())
    process = start(run, temporary, "--workers", 4, "--timeout", 1, "--memory_mb", 1024)
    memory, zombies = [], []
    while process.poll() is None:
        memory.append((judged(run, made), tree_memory(process.pid)))
        zombies.append(sum(is_zombie(pid) for pid in descendants(process.pid)))
        time.sleep(0.1)
    assert process.returncode == 0
    got = reasons(run)
    assert {name: (expected[name], got[name]) for name in expected if got[name] != expected[name]} == {}
    assert wait_until_nothing_is_left(temporary) == []
    assert descendants(os.getpid()) == before
    # By the number of verdicts, since starting takes a while; the minimum, since reading a long output is not growth.
    parts = ((0.3, 0.6), (0.65, 1))
    early, late = (min(size for number, size in memory if begin <= number / PROGRAMS < end) for begin, end in parts)
    assert late < 1.1 * early + 20, (early, late)
    assert statistics.median(zombies) == 0, "an ended child stays a zombie for a moment only"


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
