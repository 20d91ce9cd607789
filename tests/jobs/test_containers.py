"""The images: what their files say, and the judge in real containers.

The last need podman or Docker and an image: HINDSIGHT_IMAGE=hindsight:cpu, built from jobs/containers/Dockerfile.cpu.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from scripts import ROOT, write_converted

FOLDER = ROOT / "jobs" / "containers"
ENGINE = shutil.which("podman") or shutil.which("docker")
IMAGE = os.environ.get("HINDSIGHT_IMAGE", "")
needs_image = pytest.mark.skipif(not (ENGINE and IMAGE), reason="needs podman or Docker, and HINDSIGHT_IMAGE")
ECHO = {"question": "Echo.", "input_output": json.dumps({"inputs": ["a b\n"], "outputs": ["a b\n"]})}
PROGRAMS = {
    "print(input())": "",
    "print('c')": "wrong answer",
    "open('/etc/passwd')": "runtime error: ",
    "open('/hindsight/runs/x', 'w')": "runtime error: ",
    "import socket; socket.socket()": "runtime error: PermissionError",
    "import os; os.fork()": "runtime error: BlockingIOError",
    "x = bytearray(8 << 30)": "memory limit",
    "while True: pass": "time limit",
}


def test_the_gpu_image_is_of_the_locks_vllm():
    locked = re.search(r"^vllm==(.*)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    image = re.search(r"^ARG VLLM=(.*)$", (FOLDER / "Dockerfile.gpu").read_text(), re.MULTILINE)
    assert locked and image and image[1] == locked[1]


def test_only_what_the_image_lacks_is_installed():
    sys.path.insert(0, str(FOLDER))
    try:
        from missing_packages import missing
    finally:
        sys.path.remove(str(FOLDER))
    lock = ["# comment", "torch==2.13.0", "typing_extensions==4.15.0", "xxhash==4.1.0", "--editable ."]
    assert missing(lock, ["torch", "Typing.Extensions"]) == ["xxhash==4.1.0"]
    assert missing(lock, []) == lock[1:4]


def test_nothing_that_git_ignores_goes_into_an_image():
    ignored, kept_out = ((ROOT / name).read_text().splitlines() for name in (".gitignore", ".dockerignore"))
    bare = {line.removeprefix("**/") for line in kept_out}
    assert {line.rstrip("/") for line in ignored if not line.startswith("#")} <= bare
    assert ".git" in kept_out


def judge_in_container(folder, *flags):
    """Step 3 in a container on these programs: what it prints, and the reason of each verdict."""
    for number, program in enumerate(PROGRAMS):
        write_converted(folder, number, 0, program, ECHO)
    folder.chmod(0o777)
    for path in folder.iterdir():
        path.chmod(0o666)
    call = [ENGINE, "run", "--rm", *flags, "--volume", f"{folder}:/hindsight/runs/echo", IMAGE]
    done = subprocess.run(
        [*call, "python3", "check_converted_samples.py", "--input_dir", "runs/echo"], capture_output=True, text=True
    )
    records = [json.loads((folder / f"converted_question_{i}_sample_0.json").read_text()) for i in range(len(PROGRAMS))]
    return done, [record.get("correctness_reason") for record in records]


@needs_image
@pytest.mark.parametrize("user", [(), ("--user", "4321:4321")], ids=["root", "user"])
@pytest.mark.parametrize("network", [(), ("--network", "none")], ids=["network", "no network"])
def test_the_judge_contains_programs_in_a_container_without_flags(tmp_path, user, network):
    done, reasons = judge_in_container(tmp_path, *user, *network)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Programs are contained by" in done.stdout
    assert all(
        reason is not None and reason.startswith(expected) and (expected or not reason)
        for reason, expected in zip(reasons, PROGRAMS.values(), strict=True)
    ), reasons


@needs_image
def test_a_container_that_cannot_contain_is_told_its_flag(tmp_path):
    """Without Landlock and user namespaces, as in Docker on an old kernel."""
    calls = ["unshare", "landlock_create_ruleset"]
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    }
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    (tmp_path / "run").mkdir()
    done, reasons = judge_in_container(tmp_path / "run", "--security-opt", f"seccomp={tmp_path}/profile.json")
    assert done.returncode == 2
    assert "container with --security-opt seccomp=unconfined" in done.stdout + done.stderr
    assert reasons == [None] * len(PROGRAMS)
    (again, reasons) = judge_in_container(tmp_path / "run", "--security-opt", "seccomp=unconfined")
    assert again.returncode == 0 and reasons[0] == ""
