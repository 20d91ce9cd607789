"""The Slurm job scripts without a Slurm: their flags, what they submit, what they refuse, when they are requeued.

Stand-ins for Slurm's commands and for the steps write down how they are called; test_slurm.py has the real ones.
"""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from scripts import ROOT, run_in_process, wait_until

import single_model_inference
from hindsight.settings import constant_comments

SCRIPTS = ROOT / "jobs" / "slurm"
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "sample", "SLURM_JOB_NUM_NODES": "1", "SLURMD_NODENAME": "node1"}
CALLS = re.compile(r"python (?:-m )?([\w./]+)([^\n\"]*(?:\"[^\n]*)?)")


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_a_script_is_valid_bash_and_each_flag_that_it_gives_a_step_exists(name):
    subprocess.run(["bash", "-n", SCRIPTS / name], check=True)
    lines = [line for line in (SCRIPTS / name).read_text().replace("\\\n", " ").splitlines() if line[:1] != "#"]
    for step, flags in CALLS.findall("\n".join(lines)):
        path = ROOT / (step if step.endswith(".py") else f"{step.replace('.', '/')}.py")
        known = {f"--{constant.lower()}" for constant in constant_comments(path.read_text())}
        given = set(re.findall(r"--[a-z_]+", flags))
        assert given and given <= known, step


class Login:
    """A login node or a job whose commands are stand-ins: each call is a line of the file `calls`.

    Calls of step 1a with --only_count are not recorded: they end with status 1, which means that samples are missing.
    """

    def __init__(self, folder):
        self.folder, self.calls, self.bin = folder, folder / "calls", folder / "venv" / "bin"
        self.bin.mkdir(parents=True)
        self.calls.touch()
        for name in ("scontrol", "srun", "python"):
            self.stand_in(name)
        self.stand_in("vllm", "exec sleep 60 >/dev/null 2>&1")
        self.stand_in("sbatch", f"wc -l < {self.calls}")  # the jobs are 1, 2, ...

    def stand_in(self, name, lines=""):
        path = self.bin / name
        counted = "[[ $* != *--only_count* ]] || exit 1"
        path.write_text(f'#!/bin/bash\n{counted}\necho "{name} $*" >> {self.calls}\n{lines}\n')
        path.chmod(0o755)

    def start(self, script, *flags, **settings):
        path = f"{self.bin}:{os.environ['PATH']}"
        own = {"PATH": path, "VENV": self.bin.parent, "RUN": self.folder / "run", "RUNS": self.folder / "runs"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        environment = {**kept, **{name: str(value) for name, value in {**own, **settings}.items()}}
        words = ["bash", SCRIPTS / script, *flags]
        return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=-1, stderr=subprocess.STDOUT, text=True)

    def run(self, script, *flags, **settings):
        """Its exit status and what it said."""
        with self.start(script, *flags, **settings) as process:
            return process.communicate()[0], process.returncode

    def called(self, name):
        return [line for line in self.calls.read_text().splitlines() if line.split()[0] == name]


@pytest.fixture
def login(tmp_path):
    return Login(tmp_path)


def test_outside_a_job_a_script_submits_itself_with_the_flags_of_sbatch(login):
    said, status = login.run("sample.sh", "--array=0-3", "--time=2:00:00")
    assert (said.strip(), status) == ("1", 0)
    assert login.called("sbatch") == [f"sbatch --array=0-3 --time=2:00:00 {SCRIPTS / 'sample.sh'}"]
    assert (login.folder / "run" / f".marked_by_{socket.gethostname()}").exists()


@pytest.mark.parametrize("script", ["sample.sh", "judge.sh", "sweep.sh", "submit_chain.sh"])
def test_without_sbatch_nothing_is_submitted(login, script):
    (login.bin / "sbatch").unlink()
    tools = login.folder / "tools"  # a PATH without the sbatch of this machine
    tools.mkdir()
    for name in ("bash", "basename", "hostname", "mkdir", "touch", "seq"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    said, status = login.run(script, PATH=tools)
    assert (said, status) == (f"{script}: no sbatch found: run this on a login node of a Slurm cluster\n", 2)
    assert not (login.folder / "run").exists()


@pytest.mark.parametrize("script", ["sample.sh", "judge.sh", "sweep.sh", "submit_chain.sh"])
def test_in_another_folder_a_script_does_nothing(tmp_path, script):
    result = subprocess.run(["bash", SCRIPTS / script], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2 and "jobs/slurm/common.sh: No such file" in result.stderr


def test_a_job_serves_samples_its_shard_and_ends_its_server(login):
    login.stand_in("python", f"until grep -q ^vllm {login.calls}; do sleep 0.01; done")
    said, status = login.run("sample.sh", **JOB, SLURM_GPUS_ON_NODE=1, SLURM_ARRAY_TASK_ID=2, SLURM_ARRAY_TASK_COUNT=4)
    assert (said, status) == ("", 0)
    assert login.called("vllm")[0].startswith("vllm serve lab/models/instruct --served-model-name lab-instruct --host")
    (sampled,) = login.called("python")
    assert "--port 20007" in login.called("vllm")[0] and "--base_urls http://127.0.0.1:20007/v1" in sampled
    assert "--shard 2 --shards 4" in sampled


def count_really(login):
    """The job's Python counts the missing samples; other calls of it are stand-ins."""
    path = login.bin / "python"
    path.write_text(f'#!/bin/bash\n[[ $* != *--only_count* ]] || exec {sys.executable} "$@"\n{path.read_text()}')


@pytest.mark.slow
def test_a_job_without_missing_samples_starts_no_server(login, toy):
    run, flags = login.folder / "run", ("--num_samples", 2, "--max_tokens", 512, "--end_idx", 3)

    def sample(split):
        more = ("--base_urls", toy.url, "--output_dir", run / split, "--split", split)
        assert run_in_process(single_model_inference, *flags, *more).returncode == 0

    settings = {**JOB, "SLURM_GPUS_ON_NODE": 1, "NUM_SAMPLES": 2, "END_IDX": 3, "SPLITS": "test train"}
    sample("test")
    count_really(login)
    said, status = login.run("sample.sh", **settings)
    assert (status, len(login.called("python"))) == (0, 2), said  # both splits are sampled

    sample("train")
    login.calls.write_text("")
    said, status = login.run("sample.sh", **settings)
    assert (said.splitlines()[-1], status) == (f"sample: no sample is missing in {run}, so no server is started", 0)
    assert not login.called("vllm") and not login.called("python")

    said, status = login.run("sample.sh", **{**settings, "SAMPLING": "--seed 1"})
    assert status == 2 and "seed was 0, is 1" in said and not login.called("vllm")

    broken = next((run / "test").glob("question_*.json"))
    broken.write_text('{"prompt": ')
    said, status = login.run("sample.sh", **settings)
    assert status == 2 and f"these are not valid JSON: {broken}: delete them" in said and not login.called("vllm")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "the job has no GPU on node1: submit it with --gres=gpu:1, or set DEVICE=cpu"),
        ({"SLURM_GPUS_ON_NODE": "1", "MARKED_BY": "login1"}, "is not shared: node1 does not see what login1 wrote"),
        ({"VENV": "/nowhere"}, "no Python in /nowhere: run make setup, or set VENV"),
    ],
)
def test_what_a_job_lacks_is_said_in_one_sentence(login, settings, sentence):
    said, status = login.run("sample.sh", **{**JOB, **settings})
    assert status == 2 and said.startswith("sample: ") and sentence in said and said.count("\n") == 1
    assert not login.called("python") and not login.called("vllm")


def test_a_port_in_use_is_refused(login):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said, status = login.run("sample.sh", **JOB, DEVICE="cpu", PORT=port)
    assert (said, status) == (f"sample: port {port} is in use on node1: set PORT to another one\n", 2)


def test_several_nodes_that_do_not_share_the_folder_are_refused(login):
    login.stand_in("srun", "exit 1")
    said, status = login.run("judge.sh", **{**JOB, "SLURM_JOB_NUM_NODES": 2})
    assert status == 2 and "is not shared: other nodes do not see what node1 wrote there" in said
    (call,) = login.called("srun")
    assert call == f"srun --ntasks-per-node=1 test -e {login.folder}/run/.written_by_job_7"


def test_several_nodes_without_ray_are_refused(login):
    said, status = login.run("judge.sh", **{**JOB, "SLURM_JOB_NUM_NODES": 2}, PATH="/usr/bin:/bin")
    assert (said.splitlines()[-1], status) == (
        'sample: judging on several nodes needs Ray, which is not installed: pip install "ray==2.*"',
        2,
    )


@pytest.mark.parametrize(
    ("verdict", "flags", "starts"),
    [("false", "", False), ("null", "", True), ("true", "--checkers judges", True)],
)
def test_ray_is_started_only_if_an_answer_has_no_verdict(login, verdict, flags, starts):
    (login.folder / "run").mkdir()
    (login.folder / "run" / "converted_question_1_sample_0.json").write_text(f'{{"correctness": {verdict}}}')
    (login.folder / "run" / "converted_question_1_sample_0_with_embeddings.json").write_text("{}")
    job = {**JOB, "SLURM_JOB_NUM_NODES": 2, "PATH": f"{login.bin}:/usr/bin:/bin", "JUDGING": flags}
    said, status = login.run("judge.sh", **job)
    assert ("judging on several nodes needs Ray" in said, status) == (starts, 2 if starts else 0)
    assert any("check_converted_samples.py" in call for call in login.called("python")) == (not starts)


def test_a_server_that_ends_ends_the_job_with_the_end_of_its_log(login):
    login.stand_in("vllm", "echo no such model; exit 1")
    login.stand_in("python", "exec sleep 60 >/dev/null 2>&1")
    said, status = login.run("sample.sh", **JOB, SLURM_GPUS_ON_NODE=1)
    log = login.folder / "run" / "server_0.log"
    assert (said, status) == (f"no such model\nsample: the server ended on node1; its log: {log}\n", 2)


def test_a_step_that_fails_fails_the_job_and_one_that_is_killed_is_requeued(login):
    # bash complains (wait_for: No record of process) if its child is killed before it has become the server
    serves = f"until grep -q ^vllm {login.calls}; do sleep 0.01; done"
    login.stand_in("python", f"{serves}; exit 1")
    assert login.run("sample.sh", **JOB, SLURM_GPUS_ON_NODE=1) == ("", 1)
    login.calls.write_text("")
    login.stand_in("python", f"{serves}; kill -KILL $$")
    said, status = login.run("sample.sh", **JOB, SLURM_GPUS_ON_NODE=1)
    assert status == 0 and "sample: python was killed (status 137); job 7 goes back into the queue" in said
    assert login.called("scontrol") == ["scontrol requeue 7"]
    login.calls.write_text("")
    said, status = login.run("sample.sh", **JOB, SLURM_GPUS_ON_NODE=1, SLURM_RESTART_COUNT=20)
    assert status == 2 and "python was killed (status 137), and was requeued 20 times before" in said
    assert not login.called("scontrol")


def test_the_signal_before_the_time_limit_requeues_the_job(login):
    login.stand_in("python", "exec sleep 60 >/dev/null 2>&1")
    with login.start("sample.sh", **JOB, SLURM_GPUS_ON_NODE=1) as job:
        wait_until(lambda: login.called("python"))
        job.send_signal(signal.SIGUSR1)
        said = job.communicate()[0]
    assert (said, job.returncode) == ("sample: the time limit is near; job 7 goes back into the queue\n", 0)
    assert login.called("scontrol") == ["scontrol requeue 7"]


def test_answers_that_cannot_be_converted_do_not_stop_the_judge(login):
    login.stand_in("python", "[[ $1 != format_converter.py ]]")  # ends with status 1
    assert login.run("judge.sh", **JOB) == ("", 0)
    assert [call.split()[1] for call in login.called("python")] == ["format_converter.py", "check_converted_samples.py"]
    login.stand_in("python", "[[ $1 != format_converter.py ]] || exit 2")
    assert login.run("judge.sh", **JOB) == ("", 2)


def test_the_dataset_of_a_chain_is_of_one_of_its_alphas_or_of_none(login):
    said, status = login.run("submit_chain.sh", ALPHAS="0.7 1", TRAIN_ALPHA="0.9")
    assert (said, status) == ("submit_chain.sh: TRAIN_ALPHA is one of ALPHAS, 0.7 1, not 0.9\n", 2)
    assert not login.called("sbatch")
    said, status = login.run("submit_chain.sh", ALPHAS="0.7", TRAIN_ALPHA="")
    assert status == 0 and len(login.called("sbatch")) == 4 and "convert_to_data.py" not in login.calls.read_text()


def test_a_chain_has_the_dependencies_of_its_steps(login):
    said, status = login.run("submit_chain.sh", "--account=me", ALPHAS="0.7 1", SHARDS=2, DEVICE="cpu")
    assert status == 0, said
    names, after = [], []
    for call in login.called("sbatch"):
        assert "--account=me" in call
        name = re.search(r"--job-name=(\w+)|slurm/(\w+)\.sh", call)
        names.append(name[1] or name[2])
        after.append((re.search(r"--dependency=(\S+)", call) or ["", ""])[1])
    steps = ["merge", "sample", "judge", "judge", "dataset", "sample", "judge", "curve"]
    assert names == steps
    oks = [f"afterok:{number}" for number in ("1", "2", "2", "4", "1", "6", "3:7")]
    assert after == ["", *oks]
    assert all(
        "--array=0-1" in call and "--gres=none" in call for call in login.called("sbatch") if "sample.sh" in call
    )
    dataset, curve = login.called("sbatch")[4], login.called("sbatch")[7]
    runs = login.folder / "runs"
    assert f"--input_dirs {runs}/alpha_0.7/test {runs}/alpha_1/test" in curve
    assert f"--input_dirs {runs}/alpha_0.7/train" in dataset
