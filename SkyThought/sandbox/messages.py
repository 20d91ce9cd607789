"""Messages between the judge and a warm process, over a socket that keeps them apart. Files come with them.

What a program prints or returns does not go this way: it goes through pipes of the judge's own, whose other ends the
children get, so no process that later programs are forks of ever holds it.
"""

import os
import socket
import struct
import sys

MESSAGE_BYTES = 60_000  # most bytes of a message; what is longer comes as a file
_MOST_FILES = socket.CMSG_LEN(2 * 4)

# judge -> warm process
PROGRAM = b"P"  # files: the program's text, the pipe for reports
TEST = b"T"  # LIMITS, then the test's input; files: the pipe for its output, and the input if it is long
CALLS = b"C"  # LIMITS, then the function's name; files: the lists of arguments, as JSON
NEXT = b"N"  # a call has returned: the next one has its whole time
STOP = b"S"  # end the child that runs
# warm process -> judge
READY = b"A"  # JSON: what is on
ENDED = b"R"  # RESULT: the child has ended
USED = b"U"  # SECONDS of CPU time until NEXT was read

LIMITS = struct.Struct("<dd")  # CPU seconds, wall seconds
RESULT = struct.Struct("<idc")  # wait status, CPU seconds, limit met (one of the below)
SECONDS = struct.Struct("<d")
NO_LIMIT, CPU, WALL, DISK, THREADS = b"-", b"c", b"w", b"d", b"t"


def send(to: socket.socket, message: bytes, *files: int) -> None:
    """Send a message and files, which stay open here. Raises OSError when nobody is there to take it."""
    if files:
        packed = struct.pack(f"={len(files)}i", *files)
        to.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)])
    else:
        to.send(message)


def receive(source: socket.socket) -> tuple[bytes, list[int]]:
    """The next message and the files that came with it; empty when the other side is gone. Raises OSError."""
    message, attached, _, _ = source.recvmsg(MESSAGE_BYTES, _MOST_FILES)
    if not attached:
        return message, []
    data = attached[0][2]
    return message, [int.from_bytes(data[place : place + 4], sys.byteorder) for place in range(0, len(data), 4)]


def memory_file(content: bytes = b"") -> int:
    """A descriptor of an unnamed file in memory that holds this, to be read from its start."""
    file = os.memfd_create("judge", os.MFD_CLOEXEC)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def read_file(file: int) -> bytes:
    """The whole content of a memory file, wherever it stands."""
    parts, size = [], os.fstat(file).st_size
    while size > 0 and (part := os.pread(file, size, sum(map(len, parts)))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
