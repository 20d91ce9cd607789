"""Contains a program in layers, each used if the kernel allows it to an ordinary account.

    namespaces   the warm process and its children live in their own user, mount, pid, network and IPC namespaces: the
                 file system holds Python, its packages and the machine's libraries, read-only, and one small folder in
                 memory to write to; no other process is visible; there is no network. In a container whose /proc has
                 hidden parts, the processes keep the container's pid namespace and its /proc
    landlock     each program's child may open only the same files, and signal or trace nothing outside itself
    seccomp      it may start threads but no processes, open no sockets, signal only itself (see `system_calls`)

`attacks` finds out whether the active layers suffice. The warm process has no capabilities, cannot gain privileges and
cannot be traced.
"""

import platform
import resource
import sys
from pathlib import Path

from SkyThought.sandbox import kernel
from SkyThought.sandbox.namespaces import DEVICES, PROGRAM_FOLDER, enter_namespaces, readable_paths
from SkyThought.sandbox.program_folder import FOLDER_BYTES
from SkyThought.sandbox.system_calls import ProgramFilter, inherited_filter

LAYERS = ("namespaces", "landlock", "seccomp")

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_REMOVE_AND_MAKE = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12  # folders, files, symbolic links
_RIGHTS_BY_VERSION = (0, 13, 14, 15, 15, 16)  # how many bits of file rights each ABI has
_NETWORK, _SCOPES = 0b11, 0b11  # bind and connect TCP; abstract sockets and signals


class Sandbox:
    """The layers of one warm process, made before it imports the modules that programs use.

    layers: the names to use; parent: the judge's folder, which holds the program's folder `box`. After `enter`, `on`
    lists the active layers, `off` has the reason for each of the others, and `folder` is the program's folder.
    """

    def __init__(self, layers: list[str], parent: Path):
        self.layers, self.parent, self.folder = layers, parent, parent / "box"
        self.on: list[str] = []
        self.off: dict[str, str] = {}
        self.forbids_processes = self.own_proc = False  # own_proc: /proc shows only the sandbox's processes
        self._rules: kernel.Ruleset | None = None
        self._filter: ProgramFilter | None = None

    def enter(self) -> None:
        """Contain this process; with namespaces, a child of it returns."""
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
        """Contain a program's child before the program runs; pid: the child's id. Raises OSError."""
        if self._rules is not None:
            self._rules.install()
        if self._filter is not None:
            self._filter.allow_signals_to(pid)
            self._filter.install()

    def rehearse(self, times: int) -> None:
        """Call `contain_program` without effect, so that the memory Python writes to on the way is shared."""
        layers = [layer for layer in (self._rules, self._filter) if layer is not None]
        for layer in layers:
            layer.dry = True
        for _ in range(times):
            self.contain_program(0)
        for layer in layers:
            layer.dry = False

    def _namespaces(self) -> str:
        self.own_proc = enter_namespaces(self.parent)
        self.folder = PROGRAM_FOLDER
        return "namespaces" if self.own_proc else "namespaces (except of processes)"

    def _landlock(self) -> str:
        version = kernel.landlock_version()  # before version 3, seccomp forbids truncating files that may only be read
        bits = _RIGHTS_BY_VERSION[min(version, len(_RIGHTS_BY_VERSION) - 1)]
        network, scopes = (_NETWORK if version >= 4 else 0), (_SCOPES if version >= 6 else 0)
        rules = kernel.Ruleset((1 << bits) - 1, network, scopes, version)
        for path in readable_paths():
            rules.allow(str(path), _READ_FILE | (_READ_DIR if path.is_dir() else 0))
        if self.own_proc:
            rules.allow("/proc", _READ_FILE | _READ_DIR)
        for name in DEVICES:
            rules.allow(f"/dev/{name}", _READ_FILE | _WRITE_FILE | _TRUNCATE)
        written = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _REMOVE_AND_MAKE
        rules.allow(str(self.folder), written)
        self._rules = rules
        return f"Landlock (version {version})"

    def _seccomp(self) -> str:
        if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
            raise OSError(0, "this processor's system calls are not known here")
        self._filter = ProgramFilter()
        self.forbids_processes = True
        return "seccomp"


def limit(memory: int) -> None:
    """Limit the resources of this process and its children for good; memory in bytes."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, FOLDER_BYTES + (1 << 20)),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
