"""Judges on the nodes of a Ray cluster, for `check_converted_samples.py --ray_address`.

The script reads and writes all files; a node gets this package, the programs and each problem's tests over the
network, so it needs no file of ours: only the same Python, Ray, and numpy. Each CPU of a node has a process of Ray's
with a warm process of ours beside it. A program whose node dies is given to another; only when it has failed
`RETRIES` times more is its answer not judged.

    ray start --head --port 6379                                       # on one machine
    ray start --address 10.0.0.1:6379                                  # on each of the others
    python check_converted_samples.py --ray_address 10.0.0.1:6379      # on one of them
"""

import logging
import shutil
import socket
import tempfile
from concurrent.futures import Future
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from hindsight.errors import UserError, require
from hindsight.files.verdicts import NOT_JUDGED
from SkyThought.judges import Task
from SkyThought.taco import TACOTaskHandler

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    raise UserError('RAY_ADDRESS needs Ray, which is not installed: pip install "ray==2.*"') from None

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("SkyThought", "hindsight")
RETRIES = 5
CONNECT_SECONDS = 10
START_SECONDS = 300  # for every node to get the code and start its first process, on busy machines

Options = tuple[tuple[str, Any], ...]


class NotJudged(Exception):
    """A node could not judge a program: it is tried again, on whatever node is free. Holds what the judge said."""


class RayJudges:
    """As many judges as the cluster has CPUs when it is connected to; see `judges.Judges`.

    Raises UserError when there is no cluster at the address, or a node cannot contain programs.
    """

    def __init__(self, address: str, options: dict[str, Any]):
        self._options = tuple(options.items())
        self.submitted, self.find_program = 0, TACOTaskHandler(**options).find_program
        self._task: Task | None = None
        _connect(address)
        try:
            self.workers, self.protection = self._describe()
        except BaseException:
            ray.shutdown()
            raise

    def submit(self, task: Task, source: str | None) -> Future:
        """Sends a program to a node that is free; a problem's tests are put into the cluster's store once."""
        if task is not self._task:
            self._task, self._sent = task, ray.put(task)
        self.submitted += 1
        future: Future = Future()
        reference = _judge.remote(self._options, self._sent, source)
        reference.future().add_done_callback(partial(_answered, future))
        return future

    def close(self) -> None:
        """Leaves the cluster, which ends what still runs for us there."""
        ray.shutdown()

    def _describe(self) -> tuple[int, str]:
        """The number of CPUs, and what contains the programs on each node, which starts a judge there."""
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        require(bool(nodes), "the Ray cluster has no node with a CPU")
        asked = [
            _protection.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)).remote(
                self._options
            )
            for node in nodes
        ]
        try:
            sentences = ray.get(asked, timeout=START_SECONDS)
        except ray.exceptions.RayError as error:
            raise UserError(f"the nodes of the Ray cluster do not start: {_reason(error)}") from None
        for node, (contained, sentence) in zip(nodes, sentences, strict=True):
            require(contained, f"node {node['NodeManagerHostname']} of the Ray cluster: {sentence}")
        workers = sum(int(node["Resources"]["CPU"]) for node in nodes)
        different = sorted({sentence for _, sentence in sentences})
        return workers, f"{len(nodes)} nodes of Ray, {workers} programs at once: {'; '.join(different)}"


@ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=[NotJudged])
def _judge(options: Options, task: Task, source: str | None) -> dict:
    """One program's verdict, on a node."""
    try:
        result = _handler(options).judge(source, task.tests, check=task.check)
    except UserError as error:  # the node's judge worked at the start, so this is the node's failing
        result = _not_judged(str(error))
    of_the_problem = task.tests is None or any("special_judge" in test for test in result["tests"])
    if result["correctness"] is None and not of_the_problem:
        raise NotJudged(result)
    return result


@ray.remote(num_cpus=0, max_retries=RETRIES)
def _protection(options: Options) -> tuple[bool, str]:
    """Whether programs are contained on a node, and how, or why not."""
    try:
        return True, _handler(options).protection()
    except UserError as error:
        return False, str(error)


@lru_cache(maxsize=1)
def _handler(options: Options) -> TACOTaskHandler:
    """The handler of this process of a node; its own process ends with this one."""
    return TACOTaskHandler(**dict(options))


def _connect(address: str) -> None:
    """Connects to the cluster, which gets a copy of our packages for its nodes."""
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            Path(folder, package).mkdir()
            for path in (ROOT / package).glob("*.py"):
                shutil.copy(path, Path(folder, package))
        try:
            if address != "auto":  # which Ray tries at once; at an address it would wait for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host.removeprefix("ray://"), int(port)), CONNECT_SECONDS).close()
            ray.init(address, runtime_env={"working_dir": folder}, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise UserError(f"there is no Ray cluster to be used at {address}: {_reason(error)}") from None


def _answered(future: Future, ended: Future) -> None:
    """Passes a node's answer on; a program that failed too often is not judged."""
    error = ended.exception()
    if error is None:
        future.set_result(ended.result())
    elif isinstance(error, NotJudged):
        future.set_result(error.cause.args[0])
    elif isinstance(error, ray.exceptions.RayTaskError):  # a fault in our own code
        future.set_exception(error)
    else:
        future.set_result(_not_judged(_reason(error)))


def _not_judged(message: str) -> dict:
    test = {"index": 0, "passed": False, "reason": NOT_JUDGED, "seconds": 0.0, "node": message}
    return {"correctness": None, "reason": NOT_JUDGED, "tests": [test]}


def _reason(error: BaseException) -> str:
    """The first line of an error, of the one on the node where it is from there."""
    error = getattr(error, "cause", None) or error
    return (str(error).strip() or type(error).__name__).splitlines()[0]
