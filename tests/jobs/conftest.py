"""A real Slurm on this machine: a controller and two nodes, of which the second has a disk of its own.

It needs Debian's slurm-wlm and munge, and root. Nodes pretend to have a GPU each, and more memory and
cores than there are, so that the job scripts run as they are.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from scripts import ROOT, wait_until

DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """
ClusterName=one_machine
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MinJobAge=86400
SchedulerParameters=sched_interval=1,bf_interval=1
GresTypes=gpu
Licenses=turn:1
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=16 RealMemory=200000 Gres=gpu:1
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=16 RealMemory=200000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=2
"""


class SlurmCluster:
    """Started by `with`. Its jobs run in the repository's folder with this Python's environment.

    own_disk: a folder in which node2 sees its own, empty disk.
    """

    def __init__(self, folder: Path):
        self.folder, self.own_disk = folder, folder / "own_disk"
        self.environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf", "DEVICE": "cpu"}
        self.environment |= {"SBATCH_OUTPUT": f"{folder}/job_%j.log", "VENV": str(Path(sys.executable).parents[1])}

    def __enter__(self) -> "SlurmCluster":
        for name in ("state", "node1", "node2", "own_disk"):
            (self.folder / name).mkdir()
        host, ports = socket.gethostname().split(".")[0], free_ports(3)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, ports=ports, folder=self.folder))
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        files = [f"--{name}-file={self.folder}/munged.{name}" for name in ("pid", "log", "seed")]
        files += [f"--key-file={self.folder}/munge.key", f"--socket={self.folder}/munge.socket"]
        self.run("munged", "--force", *files)
        self.run("slurmctld")
        self.run("slurmd", "-N", "node1")
        own = f"mount -t tmpfs none {self.own_disk} && exec slurmd -N node2"
        self.run("unshare", "--mount", "sh", "-c", own)
        wait_until(lambda: self.run("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", 60)
        return self

    def __exit__(self, *exception: object) -> None:
        self.run("scancel", "--user=root")
        wait_until(lambda: not self.run("squeue", "-h"), 60)
        self.run("scontrol", "shutdown")
        pids = [
            path for name in ("slurmctld", "node1", "node2", "munged") if (path := self.folder / f"{name}.pid").exists()
        ]
        for path in pids:
            if path.stem == "munged":
                os.kill(int(path.read_text()), 15)
            wait_until(lambda path=path: not path.exists(), 30)

    def run(self, *command: object, **settings: object) -> str:
        """The output of a command that has to succeed; `settings` are the constants of a job script."""
        environment = self.environment | {name: str(value) for name, value in settings.items()}
        result = subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout

    def submit(self, script: str | Path, *flags: object, **settings: object) -> str:
        """The id of the job by which a script of jobs/slurm submits itself."""
        return self.run("bash", ROOT / "jobs" / "slurm" / script, "--parsable", *flags, **settings).strip()

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says."""
        return dict(word.split("=", 1) for word in self.run("scontrol", "show", "job", number).split() if "=" in word)

    def wait_for(self, number: str, state: str = "COMPLETED", seconds: float = 3600) -> str:
        """Waits until the job is in the state, and returns its log. Fails with the log if it ends in another one."""
        until, job = time.monotonic() + seconds, self.job(number)
        while job["JobState"] in {"PENDING", "RUNNING", "COMPLETING"} - {state} and time.monotonic() < until:
            time.sleep(0.5)
            job = self.job(number)
        path = self.folder / f"job_{job['JobId']}.log"  # part of an array gets its own id when it starts
        log = path.read_text() if path.exists() else ""
        assert job["JobState"] == state, f"{job}: {log}"
        return log


def free_ports(number: int) -> list[int]:
    """Ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="session")
def slurm():
    """A cluster of two nodes; only with HINDSIGHT_SLURM=1."""
    if os.environ.get("HINDSIGHT_SLURM") != "1":
        pytest.skip("HINDSIGHT_SLURM=1 starts a Slurm on this machine")
    missing = [name for name in DAEMONS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"a Slurm needs root and Debian's slurm-wlm and munge; missing: {', '.join(missing) or 'root'}")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # not tmp_path, which is too long for the sockets in it
    with SlurmCluster(folder) as cluster:
        yield cluster
    shutil.rmtree(folder)
