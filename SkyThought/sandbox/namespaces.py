"""The first layer: user, mount, pid, network and IPC namespaces, and a root folder with only readable paths."""

import os
import site
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from SkyThought.sandbox import kernel
from SkyThought.sandbox.program_folder import FOLDER_BYTES

PROGRAM_FOLDER = Path("/box")  # under the new root
DEVICES = ("null", "zero", "full", "random", "urandom")  # of /dev, which it may also write to


def readable_paths() -> list[Path]:
    """Python, its packages, the machine's libraries and time zones; paths that exist."""
    known = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    known |= {str(Path(prefix, "lib")) for prefix in (sys.prefix, sys.base_prefix)}
    known |= {"/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"}
    known |= {"/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"}
    known |= set(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
    if site.ENABLE_USER_SITE:
        known.add(site.getusersitepackages())
    found = sorted({Path(path).resolve() for path in known if Path(path).exists()})
    named = sorted({Path(path) for path in known if Path(path).exists()})
    kept = [path for path in found if not any(other in path.parents for other in found)]
    return kept + [path for path in named if path not in found and not any(other in path.parents for other in kept)]


def enter_namespaces(parent: Path) -> bool:
    """Move this process into new namespaces; returns whether these include a pid namespace, in which case a child
    returns.

    A container whose /proc has hidden parts forbids mounting another one. There the processes keep the container's
    namespace and its /proc, read-only. parent: the judge's folder, which holds an empty folder `root`. Raises OSError
    and changes nothing.
    """
    try:
        _try_in_child(partial(_enter_namespaces, parent, True))
    except OSError as reason:
        try:
            _try_in_child(partial(_enter_namespaces, parent, False))
        except OSError:
            raise reason from None
        _enter_namespaces(parent, False)
        return False
    _enter_namespaces(parent, True)
    return True


def _enter_namespaces(parent: Path, with_processes: bool) -> None:
    user, group = os.getuid(), os.getgid()
    spaces = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
    kernel.unshare(spaces | (kernel.CLONE_NEWPID if with_processes else 0))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if with_processes:
        _continue_in_child()
    _enter_new_root(parent / "root", with_processes)


def _enter_new_root(root: Path, own_proc: bool) -> None:
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", str(root), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    for path in readable_paths():
        _bind_read_only(path, root)
    for name in DEVICES:
        _bind(Path("/dev", name), root / "dev" / name, kernel.MS_NOSUID | kernel.MS_NOEXEC)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    (root / "dev" / "fd").symlink_to("/proc/self/fd")
    (root / "dev" / "shm").symlink_to(PROGRAM_FOLDER)  # where C's library keeps semaphores, which thread pools use
    plain = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    for name in ("proc", "box"):
        (root / name).mkdir()
    if own_proc:
        _mount_proc(str(root / "proc"), plain | kernel.MS_RDONLY)
    else:
        _bind(Path("/proc"), root / "proc", plain | kernel.MS_RDONLY)
    kernel.mount("tmpfs", str(root / "box"), "tmpfs", plain, f"size={FOLDER_BYTES},nr_inodes=4096")
    _hide_folders_between(root)
    kernel.enter_root(str(root))
    read_only = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
    kernel.mount("", "/", flags=read_only | kernel.MS_NOSUID | kernel.MS_NODEV)


def _try_in_child(work: Callable[[], None]) -> None:
    """Do work in a child. Raises its OSError."""
    reasons, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except OSError as error:
            os.write(theirs, (error.strerror or str(error)).encode())
            os._exit(error.errno or 1)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(reasons, "rb") as file:
        reason = file.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, reason or f"ended with status {status}")


def _continue_in_child() -> None:
    """Fork. The child returns, as the first process of the new pid namespace; this process waits and ends with it."""
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
        return
    with suppress(OSError):
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(status if status >= 0 else 128 - status)


def _mount_proc(target: str, flags: int) -> None:
    """Mount /proc, with only the process entries if the kernel can leave out the rest."""
    try:
        kernel.mount("proc", target, "proc", flags, "subset=pid")
    except OSError:
        kernel.mount("proc", target, "proc", flags)


def _hide_folders_between(root: Path) -> None:
    """Make folders that only lead to bound paths passable but not listable, since their contents reveal the machine."""
    bound = {root / path.relative_to("/") for path in (*readable_paths(), Path("/proc"), Path("/box"), Path("/dev"))}
    between = {parent for path in bound for parent in path.parents if parent == root or root in parent.parents}
    for folder in sorted(between - bound, reverse=True):
        folder.chmod(0o111)


def _bind_read_only(path: Path, root: Path) -> None:
    """Bind a file or folder of the machine to the same path under the new root, read-only; a link stays a link."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(os.readlink(path))
    else:
        _bind(path, target, kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)


def _bind(path: Path, target: Path, flags: int) -> None:
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    kernel.mount(str(path), str(target), flags=kernel.MS_BIND | kernel.MS_REC)
    kept = os.statvfs(path).f_flag & (os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME | os.ST_RELATIME | os.ST_NOSUID)
    kernel.mount("", str(target), flags=kernel.MS_REMOUNT | kernel.MS_BIND | flags | _mount_flags(kept))


def _mount_flags(kept: int) -> int:
    """Flags of statvfs as mount takes them: the same numbers, except for relatime."""
    relatime = 1 << 21 if kept & os.ST_RELATIME else 0
    return (kept & ~os.ST_RELATIME) | relatime
