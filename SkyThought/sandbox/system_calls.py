"""The system calls that a program may make: two seccomp filters, made from the lists below.

The warm process installs the first once, and its children inherit it. The second costs a program's child 50
microseconds and forbids what the parent processes need themselves: new processes, signals (except to itself) and
memory files. Calls that are not listed are allowed, except those newer than the lists, which fail as on an older kernel
(ENOSYS); C libraries then fall back to older calls.

The numbers are those of x86_64 and aarch64, None if the architecture lacks the call.
"""

import errno

from SkyThought.sandbox.kernel import X86, Filter

AUDIT_ARCH = 0xC000003E if X86 else 0xC00000B7
NEWEST = 451  # cachestat; later calls (fchmodat2, setxattrat, ...) are not listed here
CLONE_THREAD = 0x10000

DENIED = {  # to the warm process and its children; EPERM
    "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "shmget": (29, 194), "shmctl": (31, 195), "shmat": (30, 196), "semget": (64, 190), "semctl": (66, 191),
    "semtimedop": (220, 192), "semop": (65, 193), "msgget": (68, 186), "msgctl": (71, 187), "msgrcv": (70, 188),
    "msgsnd": (69, 189), "mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "memfd_secret": (447, 447),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "syslog": (103, 116), "vhangup": (153, 58),
    "iopl": (172, None), "ioperm": (173, None), "personality": (135, 92), "uselib": (134, None), "ustat": (136, None),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "capset": (126, 91),
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151),
    "setfsgid": (123, 152), "setsid": (112, 157), "setpgid": (109, 154), "setpriority": (141, 140),
    "ioprio_set": (251, 30), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "mknod": (133, None), "mknodat": (259, 33), "truncate": (76, 45),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
FIRST_ARGUMENT_ZERO = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122)}  # on this process only
# Signals through a descriptor, and input injected into a terminal.
FORBIDDEN_COMMANDS = {
    (72, 25): (8, 10, 15),  # fcntl: F_SETOWN, F_SETSIG, F_SETOWN_EX
    (16, 29): (0x8901, 0x8902, 0x5410, 0x5412),  # ioctl: FIOSETOWN, SIOCSPGRP, TIOCSPGRP, TIOCSTI
}
# O_TRUNC without the right to write: Landlock forbids it only since version 3. `openat2` has its flags in memory, which
# a filter cannot read.
OPEN_FLAGS = {(2, None): 1, (257, 56): 2}  # open, openat: which argument the flags are
OPENAT2 = (437, 437)
O_TRUNC, O_ACCMODE = 0o1000, 3  # access modes: 0 reads, 1 writes, 2 both, 3 neither
SOCKETPAIR = (53, 199)  # streams only, for asyncio: a datagram socket can send to other processes' sockets
SOCK_STREAM, SOCKET_KIND = 1, 0xF

NO_PROCESSES = {"fork": (57, None), "vfork": (58, None)}  # EAGAIN, as when the limit of processes is reached
CLONE, CLONE3 = (56, 220), (435, 435)
NOT_FOR_PROGRAMS = {"memfd_create": (319, 279), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53)}
OWN_PROCESS_ONLY = {"kill": (62, 129), "tgkill": (234, 131)}

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

Instruction = tuple[int, int, int, int]


def _number(numbers: tuple[int | None, int | None]) -> int | None:
    return numbers[0 if X86 else 1]


def _fail(error: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)


def _deny(numbers: tuple[int | None, int | None], error: int) -> list[Instruction]:
    number = _number(numbers)
    return [] if number is None else [(_EQUAL, 0, 1, number), _fail(error)]


def _rule(numbers: tuple[int | None, int | None], argument: int, tests: list[Instruction]) -> list[Instruction]:
    """For one call: load the low half of an argument and test it; the tests end in a return."""
    number = _number(numbers)
    if number is None:
        return []
    load = (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)
    return [(_EQUAL, 0, 1 + len(tests), number), load, *tests]


def inherited_filter() -> Filter:
    """The filter of the warm process and all of its children."""
    allow = (_RETURN, 0, 0, _ALLOW)
    rules = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, AUDIT_ARCH), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, NEWEST + 1), _fail(errno.ENOSYS),
    ]  # fmt: skip
    for numbers in FIRST_ARGUMENT_ZERO.values():
        rules += _rule(numbers, 0, [(_EQUAL, 0, 1, 0), allow, _fail(errno.EPERM)])
    for numbers, commands in FORBIDDEN_COMMANDS.items():
        tests = [test for command in commands for test in ((_EQUAL, 0, 1, command), _fail(errno.EPERM))]
        rules += _rule(numbers, 1, [*tests, allow])
    truncates = [(_AND, 0, 0, O_TRUNC | O_ACCMODE)]
    truncates += [test for mode in (0, 3) for test in ((_EQUAL, 0, 1, O_TRUNC | mode), _fail(errno.EPERM))]
    for numbers, argument in OPEN_FLAGS.items():
        rules += _rule(numbers, argument, [*truncates, allow])
    rules += _deny(OPENAT2, errno.ENOSYS)
    stream = [(_AND, 0, 0, SOCKET_KIND), (_EQUAL, 0, 1, SOCK_STREAM), allow, _fail(errno.EPERM)]
    rules += _rule(SOCKETPAIR, 1, stream)
    for numbers in DENIED.values():
        rules += _deny(numbers, errno.EPERM)
    return Filter([*rules, allow])


class ProgramFilter(Filter):
    """The filter of a program's child, made before the fork; `allow_signals_to` inserts the child's own id."""

    def __init__(self) -> None:
        allow = (_RETURN, 0, 0, _ALLOW)
        rules: list[Instruction] = [(_LOAD, 0, 0, _NUMBER)]
        places = []
        for numbers in OWN_PROCESS_ONLY.values():
            places.append(len(rules) + 2)
            rules += _rule(numbers, 0, [(_EQUAL, 0, 1, 0), allow, _fail(errno.EPERM)])
        rules += _rule(CLONE, 0, [(_ANY_BIT, 0, 1, CLONE_THREAD), allow, _fail(errno.EAGAIN)])
        rules += _deny(CLONE3, errno.ENOSYS)
        for numbers in NO_PROCESSES.values():
            rules += _deny(numbers, errno.EAGAIN)
        for numbers in NOT_FOR_PROGRAMS.values():
            rules += _deny(numbers, errno.EPERM)
        super().__init__([*rules, allow])
        self._places = tuple(places)

    def allow_signals_to(self, pid: int) -> None:
        """Set the only process that may receive signals; before the filter is installed."""
        for place in self._places:
            self.set_value(place, pid)
