"""What is advised where programs cannot be contained; test_containers.py asks the same of real containers."""

import pytest

from SkyThought.execution.container_advice import advice

UNSHARE, MOUNT = "unshare: Operation not permitted", "mount proc: Operation not permitted"
NO_KERNEL, FILTERED = "Function not implemented", "Operation not permitted"
SECCOMP = "--security-opt seccomp=unconfined"


@pytest.mark.parametrize(
    ("engine", "namespaces", "landlock", "flags"),
    [
        ("Docker", UNSHARE, FILTERED, SECCOMP),
        (
            "Docker",
            UNSHARE,
            NO_KERNEL,
            f"{SECCOMP} --security-opt systempaths=unconfined --security-opt apparmor=unconfined",
        ),
        ("podman", UNSHARE, FILTERED, SECCOMP),
        ("podman", UNSHARE, NO_KERNEL, f"{SECCOMP} --security-opt unmask=ALL"),
        ("podman", MOUNT, NO_KERNEL, "--security-opt unmask=ALL"),
    ],
)
def test_the_flags_that_are_missing_are_named_and_no_others(engine, namespaces, landlock, flags):
    sentence = advice({"namespaces": namespaces, "landlock": landlock}, engine)
    assert sentence == f"Start this {engine} container with {flags}."


def test_other_places_get_their_own_advice():
    off = {"namespaces": UNSHARE, "landlock": NO_KERNEL}
    assert "seccompProfile" in advice(off, "Kubernetes")
    assert "user.max_user_namespaces" in advice(off, "Apptainer") == advice(off, "")
    assert advice({**off, "landlock": "switched off"}, "Docker") == "Leave no layer of --sandbox out."
