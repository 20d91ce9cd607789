"""Fixtures: real vLLM servers of the lab's models, the lab's runs by a small `make demo`, a toy server."""

import signal
import subprocess
import sys

import pytest
import quick_scripts
from scripts import ROOT
from toy_server import ToyServer

from hindsight.serving import divide_cores, start, stop, wait_until_up

START_DEADLINE = 600

# Fixtures, files and a test that start vLLM
SERVERS = {
    "lab_servers",
    "lab_runs",
    "test_pipeline",
    "test_vllm_loader",
    "test_your_own_model_and_problems_work_as_the_readme_says",
}

# A shell starts what runs in its background with SIGINT ignored, and so would be the scripts that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in this hook, too
def pytest_collection_modifyitems(items):
    """Divides the tests among processes: one takes all that start vLLM, first, so its servers start once; others files.

    Only `pytest -n` looks at it.
    """
    for item in items:
        group = "servers" if SERVERS & {*item.fixturenames, item.path.stem, item.originalname} else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != "servers")


@pytest.fixture(scope="session")
def lab_servers():
    """Real vLLM servers of the lab's base and instruct model: {"base": url, "instruct": url}.

    In float32: in bfloat16 two tokens are often equally likely, and what else is computed at once decides.
    """
    models, cores = ROOT / "lab" / "models", divide_cores(2)
    servers = {
        name: start(models / name, f"lab-{name}", dtype="float32", cpu_cores=own)
        for name, own in zip(("base", "instruct"), cores, strict=True)
    }
    try:
        for server in servers.values():
            wait_until_up(server, START_DEADLINE)
        yield {name: server.url for name, server in servers.items()}
    finally:
        for server in servers.values():
            stop(server)


@pytest.fixture(scope="session")
def lab_runs(tmp_path_factory):
    """The runs of a small `make demo`, every step done: base/, instruct/, alpha_0.7/, switching/, data/."""
    folder = tmp_path_factory.mktemp("runs")
    flags = ["--runs_dir", str(folder), "--end_idx", "16", "--num_samples", "4"]
    result = subprocess.run(
        [sys.executable, "-m", "lab.demo", *flags], cwd=ROOT, capture_output=True, text=True, timeout=1200
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    (folder / "demo.txt").write_text(result.stdout)
    return folder


@pytest.fixture
def toy():
    """A small real HTTP server that speaks the protocol and answers at once; see `toy_server`."""
    with ToyServer() as server:
        yield server


@pytest.fixture
def sample(toy, tmp_path):
    """Runs step 1a on three lab problems, two samples each, with the toy server, into tmp_path/run."""

    def run(*flags):
        common = ["--base_urls", toy.url, "--output_dir", tmp_path / "run", "--end_idx", 3, "--num_samples", 2]
        return quick_scripts.run(tmp_path / "said", quick_scripts.SINGLE, *common, *flags)

    return run
