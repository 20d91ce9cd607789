"""Fixtures: real vLLM servers of the lab's models, the runs of a small `make demo`, a toy server, step 2."""

import gc
import json
import os
import signal
import sys
import time
from contextlib import ExitStack, chdir
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
import quick_scripts
from curating import CALL, PLAIN, STDIN
from loose_answers import good_model
from quick_python import VARIABLE, quick_python
from scripts import DEMO_SIZE, ROOT, output_to, processes_of, run_in_process, write_converted
from toy_hub import ToyHub, connect
from toy_server import ToyServer

from hindsight.servers.vllm_process import ServeOptions, VllmProcess, divide_threads, start, stop, wait_until_up
from hindsight.settings import read_settings
from lab import demo

START_DEADLINE = 600

# With `pytest -n`, the tests of a group run in one process, so that what they share is made once: vLLM's import and the
# lab's servers, the small demo, the import of transformers' models. The servers' tests, the longest, are two groups.
# A name is a file's or a folder's.
GROUPS = {
    "demo": {"test_pipeline.py", "test_docs.py", "test_paper_figure.py"},
    "servers": {"test_real_servers.py", "test_study.py"},
    "models": {"merging", "test_next_token_entropy.py", "test_entropy.py", "test_notebooks.py"}
    | {"test_train_models.py", "test_world.py", "test_embed.py"},
}
SERVERS = GROUPS["demo"] | GROUPS["servers"]

SERVING = ExitStack()  # ends the lab's servers of this process

# An example may take long on a busy machine, so no test has a deadline. The examples are the same in every run;
# HINDSIGHT_EXPLORE=1 tries others.
EXPLORE = os.environ.get("HINDSIGHT_EXPLORE") == "1"
hypothesis.settings.register_profile("patient", deadline=None, derandomize=not EXPLORE)
hypothesis.settings.load_profile("patient")

# The processes of `pytest -n` share the cores: more threads in each, and in the scripts that they start, only wait for
# one another, and a waiting thread keeps its core busy, unless it is told to sleep.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, to all of which each server writes zeros when it starts

# Nothing that an import or a collected test leaves is garbage: to search all of it again and again takes each process
# of `pytest -n` a third of its time until the first test.
gc.disable()

# A shell starts background processes with SIGINT ignored; scripts that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the tests that use the lab's servers, and skips those that need LLaMA-Factory where it is missing.

    What takes long comes first (servers, GROUPS, slow tests, the scripts' own tests), so that no process is left with
    it at the end.
    """
    no_factory = pytest.mark.skip(reason="LLAMAFACTORY_CLI does not name a llamafactory-cli")
    ranks = {}
    for item in items:
        if "lab_processes" in item.fixturenames:
            assert item.path.name in SERVERS, f"{item.path.name} uses the lab's servers: name it in GROUPS"
            item.add_marker(pytest.mark.server)
        if item.get_closest_marker("train") and not os.environ.get("LLAMAFACTORY_CLI"):
            item.add_marker(no_factory)
        serves, slow = (item.get_closest_marker(mark) is not None for mark in ("server", "slow"))
        of_script = item.path.parent == Path(__file__).parent
        rank = (item.path.name in SERVERS, serves or group_of(item.path) is not None, slow, of_script)
        ranks[item.path] = max(ranks.get(item.path, rank), rank)
    items.sort(key=lambda item: ranks[item.path], reverse=True)


def group_of(path: Path) -> str | None:
    """The one of GROUPS that a file of tests belongs to."""
    return next((group for group, names in GROUPS.items() if names & {path.name, path.parent.name}), None)


def pytest_collection_finish():
    """From now on garbage is collected, without another look at what exists already.

    That is seldom done: as often as Python does it, it took a sixteenth of the tests' processor time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """The lab's servers end with the last test of their group: two that wait cost a twentieth of a core."""
    if nextitem is None or group_of(nextitem.path) != group_of(item.path):
        SERVING.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs):
    """With `pytest -n`, the processes that run tests are forks of one that has imported what they import."""
    import execnet

    python = quick_python("WORKERS")
    specs[:] = [execnet.XSpec(f"popen//id={spec.id}//python={python}") for spec in specs]
    for use in ("COMMANDS", "QUICK"):
        os.environ[f"{VARIABLE}_{use}"] = str(quick_python(use))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `pytest -n`, a file's tests run in one process, as do those of each of GROUPS."""
    from xdist.scheduler import LoadFileScheduling

    class SomeTogether(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return group_of(Path(file)) or file

    return SomeTogether(config, log)


@pytest.fixture(scope="session")
def lab_processes():
    """Real vLLM servers of the lab's models: {"base": VllmProcess, "instruct": VllmProcess}.

    They compute in float32: in bfloat16 two tokens are often equally likely, and the rest of a batch decides. They
    find no C++ compiler, which not every machine has.
    """
    models = ROOT / "lab" / "models"
    options = ServeOptions(dtype="float32", kv_cache_gib=0.25, threads=divide_threads(2))
    servers = {}
    with mock.patch.dict(os.environ, CXX="no-compiler"):
        for name in ("base", "instruct"):
            servers[name] = start(models / name, f"lab-{name}", options)
            SERVING.callback(end, servers[name])
    for server in servers.values():
        wait_until_up(server, START_DEADLINE)
    yield servers
    SERVING.close()  # where pytest stops before the group's last test


def end(server: VllmProcess) -> None:
    """Ends a server, and sees that nothing of it stays."""
    stop(server)
    assert processes_of(server.process.pid) == []


@pytest.fixture(scope="session")
def lab_servers(lab_processes):
    """The addresses of the servers: {"base": url, "instruct": url}."""
    return {name: server.url for name, server in lab_processes.items()}


@pytest.fixture
def forked_steps(monkeypatch):
    """The scripts that the test starts, itself or through `hindsight.pipeline`, are started by `quick_python`."""
    monkeypatch.setattr(sys, "executable", str(quick_python()))


@pytest.fixture(scope="session")
def lab_runs(lab_servers, tmp_path_factory):
    """The runs of a small `make demo` after every step: base/, instruct/, alpha_0.7/, switching/, data/.

    It uses the other tests' servers of the two parents; the merged model's is a fork of the same process.
    """
    folder = tmp_path_factory.mktemp("runs")
    flags = ["--runs_dir", str(folder), *DEMO_SIZE]
    flags += ["--base_url", lab_servers["base"], "--instruct_url", lab_servers["instruct"]]
    with output_to(folder / "demo.txt"), chdir(ROOT), mock.patch.object(sys, "executable", str(quick_python())):
        assert demo.main(read_settings(vars(demo), flags)) == 0
    return folder


@pytest.fixture
def toy():
    """A small real HTTP server that speaks the protocol and answers at once; see `toy_server`."""
    with ToyServer() as server:
        yield server


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A small real HTTP server that speaks the Hub's API, and the client of this process connected to it."""
    with ToyHub() as server:
        connect(server, monkeypatch, tmp_path / "hub")
        yield server


@pytest.fixture
def sample(toy, tmp_path):
    """Runs step 1a on three lab problems, two samples each, with the toy server, into tmp_path/run."""

    def run(*flags):
        common = ["--base_urls", toy.url, "--output_dir", tmp_path / "run", "--end_idx", 3, "--num_samples", 2]
        return quick_scripts.run(tmp_path / "said", quick_scripts.SINGLE, *common, *flags)

    return run


@pytest.fixture
def run_folder(tmp_path):
    """Writes texts as raw answers of a run, without `finish_reason` as the original's files are."""

    def write(*texts, name="run", **more):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for number, text in enumerate(texts):
            record = {"prompt": "", "generated_text": text, "metadata": {}, "question_id": number, "sample_index": 0}
            path = folder / f"question_{number}_sample_0.json"
            path.write_text(json.dumps({**record, "more": number, **more}))
        return folder

    return write


@pytest.fixture
def convert(tmp_path):
    """Runs step 2 on a folder."""

    def run(folder, *flags, start=False):
        said = tmp_path / "said" / str(time.monotonic_ns())
        flags = ["--input_dir", folder, "--cache", tmp_path / "cache", *flags]
        return (quick_scripts.start if start else quick_scripts.run)(said, quick_scripts.CONVERTER, *flags)

    return run


@pytest.fixture
def ask(convert, toy):
    """Runs step 2 with the toy server as the reformatting model."""
    toy.models, toy.answer = ("reformatter",), good_model

    def run(folder, *flags, **more):
        return convert(folder, "--llm_url", toy.url, *flags, **more)

    return run


@pytest.fixture
def checked(tmp_path):
    """A run folder: two correct answers, one wrong, one not judged."""
    folder = tmp_path / "run"
    write_converted(folder, 1, 0, "print(input())", STDIN, correctness=True)
    write_converted(folder, 1, 1, "print()", STDIN, correctness=False)
    write_converted(folder, 2, 0, "def double(n): return 2 * n", CALL, correctness=True)
    write_converted(folder, 3, 0, "print()", STDIN, correctness=None)
    return folder


@pytest.fixture
def curate(tmp_path):
    """Runs step 4 on some folders into tmp_path/data; with every filter that needs more than them off."""

    def run(*folders, flags=(), name="hindsight"):
        said = tmp_path / "said" / str(time.monotonic_ns())
        output = tmp_path / "data"
        given = ["--input_dirs", *folders, "--output_dir", output, "--name", name, *PLAIN, *flags]
        if "--cutoff_len" in flags:  # each new process would import transformers, to count tokens
            import convert_to_data

            return run_in_process(convert_to_data, *given), output
        return quick_scripts.run(said, quick_scripts.CURATOR, *given), output

    return run
