"""Judges on the nodes of a Ray cluster, for `check_converted_samples.py --ray_address`.

The script reads and writes all files. Nodes receive this code, the programs and each problem's tests over the network.
On every CPU one Ray worker judges, with its own warm processes. If a node dies, another one judges its programs; an
answer stays unjudged only when `RETRIES` further attempts fail.
"""

import logging
import shutil
import socket
import tempfile
from concurrent.futures import Future
from functools import lru_cache, partial
from pathlib import Path

from hindsight.errors import UserError, require
from hindsight.files.verdicts import NOT_JUDGED
from SkyThought.judges import JudgeOptions, ProblemToJudge
from SkyThought.own_rules import TestResult, one_line
from SkyThought.taco import TACOTaskHandler, Verdict

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    raise UserError('RAY_ADDRESS needs Ray, which is not installed: pip install "ray==2.*"') from None

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("SkyThought", "hindsight")
RETRIES = 5
CONNECT_SECONDS = 10
START_SECONDS = 300  # for every node to receive the code and start its first process, on busy machines


class NotJudged(Exception):
    """A node could not judge a program, so Ray tries again on any free node. Holds the verdict."""


class RayJudges:
    """As many judges as the cluster has CPUs at the start; see `judges.Judges`.

    Raises UserError when no cluster answers at the address, or a node cannot contain programs.
    """

    def __init__(self, address: str, options: JudgeOptions):
        self._options = options
        self.submitted, self.find_program = 0, options.make_handler().find_program
        self._problem: ProblemToJudge | None = None
        _connect(address)
        try:
            self.workers, self.protection = self._describe()
        except BaseException:
            ray.shutdown()
            raise

    def submit(self, problem: ProblemToJudge, source: str | None) -> "Future[Verdict]":
        """Send a program to a free node; a problem's tests go into the cluster's object store once."""
        if problem is not self._problem:
            self._problem, self._stored = problem, ray.put(problem)
        self.submitted += 1
        future: Future[Verdict] = Future()
        reference = _judge.remote(self._options, self._stored, source)
        reference.future().add_done_callback(partial(_pass_on, future))
        return future

    def close(self) -> None:
        """Leave the cluster, which ends our running tasks there."""
        ray.shutdown()

    def _describe(self) -> tuple[int, str]:
        """The number of CPUs, and what contains the programs on each node; this starts a judge there."""
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        require(bool(nodes), "the Ray cluster has no node with a CPU")
        places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=True) for node in nodes]
        asked = [_protection.options(scheduling_strategy=place).remote(self._options) for place in places]
        try:
            sentences = ray.get(asked, timeout=START_SECONDS)
        except RayError as error:
            raise UserError(f"the nodes of the Ray cluster do not start: {_first_line(error)}") from None
        for node, (contained, sentence) in zip(nodes, sentences, strict=True):
            require(contained, f"node {node['NodeManagerHostname']} of the Ray cluster: {sentence}")
        workers = sum(int(node["Resources"]["CPU"]) for node in nodes)
        different = sorted({sentence for _, sentence in sentences})
        return workers, f"{len(nodes)} nodes of Ray, {workers} programs at once: {'; '.join(different)}"


# Ray's annotation of retry_exceptions knows bool only; its documentation allows a list.
@ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=[NotJudged])  # type: ignore[reportArgumentType]
def _judge(options: JudgeOptions, problem: ProblemToJudge, source: str | None) -> Verdict:
    """The verdict on one program, on a node."""
    try:
        verdict = _handler(options).judge(source, problem.tests, problem.special_judge)
    except UserError as error:  # the node's judge worked at the start, so the node is at fault
        verdict = _not_judged(str(error))
    problem_at_fault = problem.tests.fault or any("special_judge" in test for test in verdict["tests"])
    if verdict["correctness"] is None and not problem_at_fault:
        raise NotJudged(verdict)
    return verdict


@ray.remote(num_cpus=0, max_retries=RETRIES)
def _protection(options: JudgeOptions) -> tuple[bool, str]:
    """Whether a node contains programs, and by what, or why not."""
    try:
        return True, _handler(options).protection()
    except UserError as error:
        return False, str(error)


@lru_cache(maxsize=1)
def _handler(options: JudgeOptions) -> TACOTaskHandler:
    """The handler of this Ray worker; its warm processes end with the worker."""
    return options.make_handler()


def _connect(address: str) -> None:
    """Connect to the cluster, which receives a copy of our packages for its nodes."""
    with tempfile.TemporaryDirectory() as folder:
        copy_packages(Path(folder))
        try:
            if address != "auto":  # Ray tries "auto" at once, but waits for minutes at an address
                host, _, port = address.rpartition(":")
                socket.create_connection((host.removeprefix("ray://"), int(port)), CONNECT_SECONDS).close()
            ray.init(address, runtime_env={"working_dir": folder}, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            raise UserError(f"no usable Ray cluster at {address}: {_first_line(error)}") from None


def copy_packages(folder: Path) -> None:
    """Copy the modules that a node needs into a folder."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _pass_on(future: "Future[Verdict]", finished: Future) -> None:
    """Pass a node's verdict on; a program whose node failed too often is not judged."""
    error = finished.exception()
    if error is None:
        future.set_result(finished.result())
    elif isinstance(error, NotJudged) and isinstance(error, RayTaskError):  # Ray's error has both classes
        future.set_result(error.cause.args[0])
    elif isinstance(error, RayTaskError):  # a fault in our own code
        future.set_exception(error)
    else:
        future.set_result(_not_judged(_first_line(error)))


def _not_judged(message: str) -> Verdict:
    reason = f"{NOT_JUDGED}: its node failed ({one_line(message)})"
    test: TestResult = {"index": 0, "passed": False, "reason": reason, "seconds": 0.0, "node": message}
    return {"correctness": None, "reason": reason, "tests": [test]}


def _first_line(error: BaseException) -> str:
    """The first line of an error's message; of its cause where the error comes from a node."""
    error = getattr(error, "cause", None) or error
    return (str(error).strip() or type(error).__name__).splitlines()[0]
