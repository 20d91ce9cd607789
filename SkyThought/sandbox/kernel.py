"""The few Linux calls that contain a program and that Python's library lacks, through `ctypes`.

Each raises OSError with the kernel's reason. The numbers are those of x86_64 and aarch64, which agree for calls added
since 2019. No package does all of this for an ordinary account.
"""

import ctypes
import os
import platform
import struct

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x8000000, 1 << 28, 1 << 29, 1 << 30
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38

X86 = platform.machine() == "x86_64"
_PIVOT_ROOT, _CAPSET, _SECCOMP = (155, 126, 317) if X86 else (41, 91, 277)
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_SECCOMP_SET_MODE_FILTER = 1
_LANDLOCK_RULE_PATH_BENEATH = 1

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long] * 5


def _done(result: int, what: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}" if what else os.strerror(number))
    return result


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    _done(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def unshare(flags: int) -> None:
    """unshare(2): new namespaces for this process (a pid namespace: for its next child)."""
    _done(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    arguments = [text.encode() or None for text in (source, target, kind)]
    _done(_libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None), f"mount {kind or source}")


def enter_root(folder: str) -> None:
    """Make a folder, which is a mount point, the root of the file system, and unmount the old root."""
    os.chdir(folder)
    dot = ctypes.create_string_buffer(b".")
    _done(_syscall(_PIVOT_ROOT, ctypes.addressof(dot), ctypes.addressof(dot), 0, 0))
    _done(_libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability, including root's."""
    header, none = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0)), ctypes.create_string_buffer(24)
    _done(_syscall(_CAPSET, ctypes.addressof(header), ctypes.addressof(none), 0, 0))


# A program's child makes two of these calls itself. Arguments prepared before the fork, and no conversion, look-up or
# errno, save it a fifth of a millisecond.
_direct = ctypes.PyDLL(None).syscall
flush_c_streams = ctypes.PyDLL(None).fflush  # of NULL: every stream of C's stdio
NULL = ctypes.c_void_p()
_NOTHING = tuple(ctypes.c_long(number) for number in (157 if X86 else 167, PR_SET_PDEATHSIG, 0, 0))


class _Layer:
    """A layer that one system call enforces; while `dry`, the call changes nothing."""

    _arguments: tuple[ctypes.c_long, ...]

    @property
    def dry(self) -> bool:
        return self._in_force is _NOTHING

    @dry.setter
    def dry(self, dry: bool) -> None:
        self._in_force = _NOTHING if dry else self._arguments

    def install(self) -> None:
        """Enforce it for this process and every child. Requires no_new_privs. Raises OSError."""
        if _direct(*self._in_force):
            raise OSError("the kernel refused a layer that contains a program")


class Filter(_Layer):
    """A seccomp program: instructions as `struct sock_filter`, in memory that the kernel can read."""

    def __init__(self, instructions: list[tuple[int, int, int, int]]):
        packed = b"".join(struct.pack("<HBBI", *each) for each in instructions)
        self._code = ctypes.create_string_buffer(packed, len(packed))
        head = struct.pack("<HxxxxxxQ", len(instructions), ctypes.addressof(self._code))
        self._program = ctypes.create_string_buffer(head, len(head))
        numbers = (_SECCOMP, _SECCOMP_SET_MODE_FILTER, 0, ctypes.addressof(self._program))
        self._arguments = tuple(ctypes.c_long(number) for number in numbers)
        self.dry = False
        self._words = memoryview(self._code).cast("B").cast("I")

    def set_value(self, index: int, value: int) -> None:
        """Change the constant of an instruction."""
        self._words[2 * index + 1] = value


class Ruleset(_Layer):
    """Landlock rules about these rights (bit sets of linux/landlock.h)."""

    def __init__(self, files: int, network: int, scopes: int, version: int):
        self._files = files
        attributes = struct.pack("<QQQ", files, network, scopes)
        size = 8 if version < 4 else 16 if version < 6 else 24
        buffer = ctypes.create_string_buffer(attributes[:size], size)
        self._descriptor = _done(_syscall(_LANDLOCK_CREATE, ctypes.addressof(buffer), size, 0, 0))
        self._arguments = tuple(ctypes.c_long(number) for number in (_LANDLOCK_RESTRICT, self._descriptor, 0))
        self.dry = False

    def allow(self, path: str, rights: int) -> None:
        """Allow rights on a file, or on a folder and its content; rights that the kernel does not know are left out."""
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = ctypes.create_string_buffer(struct.pack("<Qi", rights & self._files, descriptor), 12)
            address = ctypes.addressof(rule)
            _done(_syscall(_LANDLOCK_ADD, self._descriptor, _LANDLOCK_RULE_PATH_BENEATH, address, 0))
        finally:
            os.close(descriptor)


def landlock_version() -> int:
    """The version of the kernel's Landlock ABI. Raises OSError if it has none."""
    return _done(_syscall(_LANDLOCK_CREATE, 0, 0, 1, 0))


def release_memory() -> None:
    """Give freed memory back to the machine; the C library keeps it, per thread (malloc_trim(3))."""
    trim = getattr(_libc, "malloc_trim", None)  # only GNU's C library has it
    if trim is not None:
        trim(0)
