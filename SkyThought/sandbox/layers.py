"""What contains a program, in layers, each used where the kernel allows it to an ordinary account.

    namespaces   the warm process and its children in user, mount, pid, network and IPC namespaces of their own: a file
                 system that holds Python, its packages and the machine's libraries, read-only, and one small folder
                 in memory to write to; no other process to be seen; no network
    landlock     each program's child may open only the same files, and signal or trace nothing outside of itself
    seccomp      it may start threads but no processes, open no sockets, signal only itself (see `system_calls`)

Whether the layers that are on suffice is found out by trying: `attacks` says what a program can do that it must not.
The warm process has no capabilities, cannot get new privileges and cannot be traced.
"""

import os
import resource
import site
import socket
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from SkyThought.sandbox import kernel
from SkyThought.sandbox.system_calls import ProgramFilter, inherited_filter

LAYERS = ("namespaces", "landlock", "seccomp")
FOLDER_BYTES = 64 << 20  # most a program may write, in all its files
DEVICES = ("null", "zero", "full", "random", "urandom")

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_REMOVE_AND_MAKE = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12  # folders, files, symbolic links
_RIGHTS_BY_VERSION = (0, 13, 14, 15, 15, 16)  # how many bits of file rights each ABI has
_NETWORK, _SCOPES = 0b11, 0b11  # bind and connect TCP; abstract sockets and signals


class Sandbox:
    """The layers of one warm process; made before it imports what programs use.

    layers: the names to use; parent: the judge's folder, which holds the program's folder `box`. After `enter`, `on`
    has the layers that are on and `off` why the others are not, and `folder` is the program's folder.
    """

    def __init__(self, layers: list[str], parent: Path):
        self.layers, self.parent, self.folder = layers, parent, parent / "box"
        self.on: list[str] = []
        self.off: dict[str, str] = {}
        self.forbids_processes = False
        self._rules: kernel.Ruleset | None = None
        self._filter: ProgramFilter | None = None

    def enter(self) -> None:
        """Contain this process; with namespaces, what returns is a child of it."""
        for name, layer in zip(LAYERS, (self._namespaces, self._landlock, self._seccomp), strict=True):
            if name not in self.layers:
                self.off[name] = "switched off"
                continue
            try:
                self.on.append(layer())
            except OSError as error:
                self.off[name] = error.strerror or str(error)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.drop_capabilities()
        if "seccomp" in self.layers and "seccomp" not in self.off:
            inherited_filter().install()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)

    def contain_program(self, pid: int) -> None:
        """In a program's child, before the program runs; `pid` is its id. Raises OSError."""
        if self._rules is not None:
            self._rules.install()
        if self._filter is not None:
            self._filter.allow_signals_to(pid)
            self._filter.install()

    def rehearse(self, times: int) -> None:
        """Go through `contain_program` without effect, so that Python has its ways there warm."""
        layers = [layer for layer in (self._rules, self._filter) if layer is not None]
        for layer in layers:
            layer.dry = True
        for _ in range(times):
            self.contain_program(0)
        for layer in layers:
            layer.dry = False

    def _namespaces(self) -> str:
        _in_a_child(self._enter_namespaces)  # where that fails, this process stays as it is
        self._enter_namespaces()
        self.folder = Path("/box")
        return "namespaces"

    def _enter_namespaces(self) -> None:
        user, group = os.getuid(), os.getgid()
        spaces = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
        kernel.unshare(kernel.CLONE_NEWUSER | spaces)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _continue_in_child()
        self._new_root()

    def _new_root(self) -> None:
        root = self.parent / "root"
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.mount("tmpfs", str(root), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
        for path in readable_paths():
            _show(path, root)
        for name in DEVICES:
            _bind(Path("/dev", name), root / "dev" / name, kernel.MS_NOSUID | kernel.MS_NOEXEC)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
        (root / "dev" / "fd").symlink_to("/proc/self/fd")
        plain = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        for name in ("proc", "box"):
            (root / name).mkdir()
        _mount_proc(str(root / "proc"), plain | kernel.MS_RDONLY)
        kernel.mount("tmpfs", str(root / "box"), "tmpfs", plain, f"size={FOLDER_BYTES},nr_inodes=4096")
        _hide_folders_between(root)
        kernel.enter_root(str(root))
        read_only = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
        kernel.mount("", "/", flags=read_only | kernel.MS_NOSUID | kernel.MS_NODEV)

    def _landlock(self) -> str:
        version = kernel.landlock_version()
        if version < 3:
            raise OSError(0, f"the kernel's Landlock is version {version}, 3 is needed")
        bits = _RIGHTS_BY_VERSION[min(version, len(_RIGHTS_BY_VERSION) - 1)]
        network, scopes = (_NETWORK if version >= 4 else 0), (_SCOPES if version >= 6 else 0)
        rules = kernel.Ruleset((1 << bits) - 1, network, scopes, version)
        for path in readable_paths():
            rules.allow(str(path), _READ_FILE | (_READ_DIR if path.is_dir() else 0))
        if self.folder == Path("/box"):
            rules.allow("/proc", _READ_FILE | _READ_DIR)
        for name in DEVICES:
            rules.allow(f"/dev/{name}", _READ_FILE | _WRITE_FILE | _TRUNCATE)
        written = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _REMOVE_AND_MAKE
        rules.allow(str(self.folder), written)
        self._rules = rules
        return f"Landlock (version {version})"

    def _seccomp(self) -> str:
        if not kernel.supported():
            raise OSError(0, "this processor's system calls are not known here")
        self._filter = ProgramFilter()
        self.forbids_processes = True
        return "seccomp"


def readable_paths() -> list[Path]:
    """What a program may read: Python, its packages, the machine's libraries, time zones. Paths that exist."""
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


def limit(memory: int) -> None:
    """Resource limits of this process and its children, which they cannot raise again; memory in bytes."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, FOLDER_BYTES + (1 << 20)),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def attacks(judge: int, parent: Path) -> dict[str, Callable[[], object]]:
    """What a program must not be able to do, each as a function that raises OSError where it cannot.

    To be called in a contained child. judge: the judge's process id; parent: its folder, which holds a file `secret`.
    """
    return {
        "read the judge's files": (parent / "secret").read_bytes,
        "write outside of its folder": (parent / "secret").touch,
        "read /etc/passwd": Path("/etc/passwd").read_bytes,
        "open a socket": lambda: socket.socket().close(),
        "open a datagram socket": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "make datagram sockets": lambda: [end.close() for end in socket.socketpair(type=socket.SOCK_DGRAM)],
        "start a process": _fork_and_end,
        "signal the judge": lambda: os.kill(judge, 0),
        "signal the process above it": lambda: os.kill(os.getppid(), 0),
        "signal a group": lambda: os.kill(0, 0),
        "read another process's memory": lambda: Path(f"/proc/{os.getppid()}/mem").open("rb").close(),
        "read another process's environment": Path(f"/proc/{os.getppid()}/environ").read_bytes,
    }


def _fork_and_end() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _in_a_child(work: Callable[[], None]) -> None:
    """Do work in a child. Raises the OSError that it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))


def _continue_in_child() -> None:
    """Fork; the child returns, as the first process of the new pid namespace, and this process waits for its end."""
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
        return
    with suppress(OSError):
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(status if status >= 0 else 128 - status)


def _mount_proc(target: str, flags: int) -> None:
    """Of /proc the processes alone, where the kernel can leave out the rest."""
    try:
        kernel.mount("proc", target, "proc", flags, "subset=pid")
    except OSError:
        kernel.mount("proc", target, "proc", flags)


def _hide_folders_between(root: Path) -> None:
    """The folders that only lead to what is shown can be passed and not listed: their names tell of the machine."""
    shown = {root / path.relative_to("/") for path in (*readable_paths(), Path("/proc"), Path("/box"), Path("/dev"))}
    between = {parent for path in shown for parent in path.parents if parent == root or root in parent.parents}
    for folder in sorted(between - shown, reverse=True):
        folder.chmod(0o111)


def _show(path: Path, root: Path) -> None:
    """Show a file or folder of the machine at the same place under the new root, read-only; a link as a link."""
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
    """Flags of statvfs as mount takes them: the same numbers, but for relatime's."""
    relatime = 1 << 21 if kept & os.ST_RELATIME else 0
    return (kept & ~os.ST_RELATIME) | relatime


def empty_folder(folder: Path) -> None:
    """Remove all that is in a folder: also what was made unreadable, or lies deeper than a path can say.

    A folder in it is emptied by moving the folders it holds up beside it.
    """
    moved = 0
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)
                    moved += 1
                    os.rename(inner.path, folder / f".moved-{os.getpid()}-{moved}")
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)
