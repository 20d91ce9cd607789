"""Messages between the judge and a warm process, over a socket that keeps them apart and carries files too.

A program's output and values go through pipes from the children directly to the judge, so the process from which later
programs are forked never holds them.
"""

import os
import socket
import struct
import sys
from typing import NamedTuple

MESSAGE_BYTES = 60_000  # longest message; a longer text comes as a file
_MOST_FILES = socket.CMSG_LEN(2 * 4)

# judge -> warm process
PROGRAM = b"P"  # files: the program's text, the pipe for reports
TEST = b"T"  # LIMITS, then the test's input; files: the pipe for its output, and the input if it is long
CALLS = b"C"  # LIMITS, how to read arguments (see `calls`), the function's name; files: the lists of arguments
NEXT = b"N"  # LIMITS of the present call, SECONDS of CPU time of those that have returned: the rest is this one's
RUNNING = b"r"  # the answer to ASK: the call after this COUNT of NEXT messages has not returned yet
STOP = b"S"  # end the running child
# warm process -> judge
READY = b"A"  # JSON: the layers that are on and off, and what a program could do
ENDED = b"R"  # an Ending: the child has ended
USED = b"U"  # SECONDS of CPU time of the child until NEXT was read
ASK = b"?"  # the call has met its limit; has it returned? The answer is NEXT or RUNNING

LIMITS = struct.Struct("<dd")  # CPU seconds, wall seconds
SECONDS = struct.Struct("<d")
COUNT = struct.Struct("<q")
NO_LIMIT, CPU, WALL, DISK, THREADS = b"-", b"c", b"w", b"d", b"t"  # the limit that a child met
_ENDING = struct.Struct("<idc")


class Ending(NamedTuple):
    """How a child ended: its wait status, CPU seconds and the limit it met."""

    status: int
    cpu_seconds: float
    limit: bytes

    def pack(self) -> bytes:
        """This ending as the bytes of a message."""
        return _ENDING.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> "Ending":
        """An ending from the bytes of a message."""
        return cls(*_ENDING.unpack(data))


def send(to: socket.socket, message: bytes, *files: int) -> None:
    """Send a message and files, which stay open here. Raises OSError when the other side is gone."""
    if files:
        packed = struct.pack(f"={len(files)}i", *files)
        to.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)])
    else:
        to.send(message)


def receive(source: socket.socket) -> tuple[bytes, list[int]]:
    """The next message and its files; an empty message when the other side is gone. Raises OSError."""
    message, attached, _, _ = source.recvmsg(MESSAGE_BYTES, _MOST_FILES)
    if not attached:
        return message, []
    data = attached[0][2]
    return message, [int.from_bytes(data[place : place + 4], sys.byteorder) for place in range(0, len(data), 4)]


def memory_file(content: bytes = b"") -> int:
    """A descriptor of an unnamed file in memory with this content, positioned at its start."""
    file = os.memfd_create("judge", os.MFD_CLOEXEC)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def read_file(file: int) -> bytes:
    """The whole content of a memory file, from any position."""
    parts, size = [], os.fstat(file).st_size
    while size > 0 and (part := os.pread(file, size, sum(map(len, parts)))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
