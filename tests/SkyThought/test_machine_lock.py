"""Judges run programs side by side or alone, and nobody waits for a suspended judge."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from time import sleep

import pytest
from scripts import ROOT

from SkyThought import machine_lock
from SkyThought.machine_lock import MachineLock

HOLDER = """
import ctypes, os, signal, tempfile
tempfile.tempdir = {folder!r}
from SkyThought.machine_lock import MachineLock
lock = MachineLock()
with lock.shared(){inside}:
    {before}
    os.kill(os.getpid(), signal.SIGSTOP)
"""
TRACED = "ctypes.CDLL(None).ptrace(0, 0, None, None)"  # by this process, as by a debugger: another kind of suspension


@pytest.fixture
def locks(monkeypatch, tmp_path):
    """Makes locks, apart from those of tests that judge at the same time, on a machine with nothing else to do."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(machine_lock, "_passed", set())
    made: list[MachineLock] = []
    yield lambda: made.append(MachineLock()) or made[-1]
    for lock in made:
        lock.close()


@pytest.fixture
def waits(monkeypatch):
    """Receives an item whenever somebody finds a lock taken."""
    queue = SimpleQueue()
    monkeypatch.setattr(machine_lock, "sleep", lambda seconds: (queue.put(None), sleep(seconds)))
    return queue


def suspended(folder, inside="", before="pass") -> subprocess.Popen:
    """A process that is suspended while it holds the lock."""
    program = HOLDER.format(folder=str(folder), inside=inside, before=before)
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    return process


def test_an_exclusive_owner_waits_for_shared_ones_and_they_wait_for_it(locks, waits):
    first, second, third = locks(), locks(), locks()
    order, judging = [], SimpleQueue()

    def alone():
        with second.shared(), second.exclusive():
            order.append("alone")
            judging.get()
            order.append("alone no more")

    def shared():
        with third.shared():
            order.append("third")

    with ThreadPoolExecutor(2) as pool:
        with first.shared():
            pool.submit(alone)
            waits.get()
            pool.submit(shared)  # waits behind the exclusive one, which would otherwise wait for ever
            for _ in range(20):
                waits.get()
            order.append("first ends")
        judging.put(None)
    assert order == ["first ends", "alone", "alone no more", "third"]


def test_between_two_tests_a_program_gives_way_to_one_that_waits_to_run_alone(locks, waits):
    first, second = locks(), locks()
    order = []

    def alone():
        with second.shared(), second.exclusive():
            order.append("alone")

    with ThreadPoolExecutor(1) as pool, first.shared():
        first.give_way()  # to nobody
        pool.submit(alone)
        waits.get()
        first.give_way()
        order.append("the next test")
    assert order == ["alone", "the next test"]


def test_the_machine_is_busy_while_another_judge_runs_a_program(locks, monkeypatch):
    first, second = locks(), locks()
    with first.shared():
        assert not first.machine_is_busy()
        with second.shared():
            assert first.machine_is_busy()
            assert second.machine_is_busy()
        assert not first.machine_is_busy()
        monkeypatch.setattr("os.getloadavg", lambda: (9.0, 0.0, 0.0))
        assert first.machine_is_busy()


@pytest.mark.parametrize(("inside", "before"), [("", "pass"), (", lock.exclusive()", "pass"), ("", TRACED)])
def test_a_judge_does_not_wait_for_a_suspended_one(locks, monkeypatch, tmp_path, capfd, inside, before):
    monkeypatch.setattr(machine_lock, "LOOKS", 3)
    process, lock, order = suspended(tmp_path, inside, before), locks(), []
    try:
        for number in range(2):
            with lock.shared():
                assert lock.machine_is_busy()
                with lock.exclusive():
                    order.append(number)
        assert order == [0, 1]
    finally:
        process.kill()
        process.wait()
    assert capfd.readouterr().err == (
        f"\nprocess {process.pid} is suspended while it judges; this judge continues without waiting for it\n"
    )
    with lock.shared():
        assert not lock.machine_is_busy()


def test_a_judge_waits_for_one_that_runs_beside_a_suspended_one(locks, waits, monkeypatch, tmp_path):
    monkeypatch.setattr(machine_lock, "LOOKS", 3)
    process, first, second = suspended(tmp_path), locks(), locks()
    order = []

    def alone():
        with second.shared(), second.exclusive():
            order.append("alone")

    try:
        with ThreadPoolExecutor(1) as pool, first.shared():
            pool.submit(alone)
            for _ in range(3 * machine_lock.LOOKS):
                waits.get()
            order.append("first ends")
    finally:
        process.kill()
        process.wait()
    assert order == ["first ends", "alone"]


@pytest.mark.parametrize("proc", ["/proc", "/proc/missing"])
def test_a_judge_waits_for_one_whose_suspension_may_be_short_or_cannot_be_seen(
    locks, waits, monkeypatch, tmp_path, proc
):
    monkeypatch.setattr(machine_lock, "LOOKS", 3 if proc == "/proc/missing" else 1_000_000)
    monkeypatch.setattr(machine_lock, "PROC", Path(proc))
    process, lock = suspended(tmp_path, ", lock.exclusive()"), locks()
    with ThreadPoolExecutor(1) as pool:
        judged = pool.submit(lambda: lock.shared().__enter__())
        for _ in range(10):
            waits.get()
        assert not judged.done()
        process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
