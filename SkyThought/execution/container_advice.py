"""What to change if programs cannot be contained: the flags of the container, or the machine's settings.

In a container without privileges Landlock and seccomp contain the programs and need no flag. The advice is for other
cases: the kernel has no Landlock, or the container's own seccomp filter forbids it.
"""

import errno
import os
from pathlib import Path

NO_FILTER = "--security-opt seccomp=unconfined"
# Two more things disable the layer `namespaces` in a container: a /proc with hidden parts, which forbids mounting
# another one, and AppArmor, which forbids mounting anything.
MOUNTS = {
    "Docker": "--security-opt systempaths=unconfined --security-opt apparmor=unconfined",
    "podman": "--security-opt unmask=ALL",
}


def engine() -> str:
    """What runs this process's container: Docker, podman, Apptainer or Kubernetes; empty for none of them."""
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        return "Apptainer"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "Kubernetes"
    if Path("/run/.containerenv").exists():
        return "podman"
    return "Docker" if Path("/.dockerenv").exists() else ""


def advice(off: dict[str, str], engine: str) -> str:
    """A sentence on what to change so that the layers contain programs here.

    off: the layers that are off, with their reasons; engine: one of the names that `engine()` returns.
    """
    if "switched off" in off.values():
        return "Leave no layer of --sandbox out."
    if engine in MOUNTS:
        if off.get("landlock") == os.strerror(errno.EPERM):  # the kernel has it
            flags = NO_FILTER
        elif off.get("namespaces", "").startswith("unshare"):
            flags = f"{NO_FILTER} {MOUNTS[engine]}"
        else:
            flags = MOUNTS[engine]
        return f"Start this {engine} container with {flags}."
    if engine == "Kubernetes":
        return (
            "Use a node whose kernel has Landlock (Linux 5.13 or later), or set the container's seccompProfile and "
            "appArmorProfile to Unconfined and its procMount to Unmasked."
        )
    return (
        "Use a machine whose kernel has Landlock (Linux 5.13 or later), or allow user namespaces (the sysctl "
        "settings user.max_user_namespaces and, on Ubuntu, kernel.apparmor_restrict_unprivileged_userns=0)."
    )
