"""Messages between the judge and the processes behind it, over a socket that keeps them apart.

A message is a head and a body. A short body is in the socket; a long one is in a memory file whose descriptor comes.
"""

import os
import socket
import struct
import sys

INLINE_BYTES = 60_000  # well below what a socket takes at once
_INLINE, _IN_FILE = b"i", b"f"
_ONE_DESCRIPTOR = socket.CMSG_LEN(4)

# judge -> warm process
PROGRAM = b"P"  # JSON: its function, how many tests; then "\n" and the program's text
TEST = b"T"     # TEST_LIMITS, then the test's input
CALLS = b"C"    # TEST_LIMITS, then JSON: the lists of arguments
STOP = b"S"     # the calls that run are of no more interest
# warm process -> judge
READY = b"A"    # JSON: what is on
ENDED = b"R"    # RESULT, then `report` bytes of report, then the output
RETURNED = b"V" # SECONDS of CPU time; then the reports of calls that returned, a line each

TEST_LIMITS = struct.Struct("<dd")   # CPU seconds, wall seconds
SECONDS = struct.Struct("<d")
RESULT = struct.Struct("<idcI")      # wait status, CPU seconds, limit met (a byte of the below), length of the report
NO_LIMIT, CPU, WALL, OUTPUT, DISK, THREADS = b"-", b"c", b"w", b"o", b"d", b"t"


def send(to: socket.socket, head: bytes, *body: bytes) -> None:
    """Send a message. Raises OSError when nobody is there to take it."""
    if sum(map(len, body)) + len(head) <= INLINE_BYTES:
        to.send(b"".join((_INLINE, head, *body)))
        return
    file = memory_file(*body)
    try:
        socket.send_fds(to, [_IN_FILE + head], [file])
    finally:
        os.close(file)


def receive(source: socket.socket) -> tuple[bytes, int | None]:
    """The next message: its head and body, and, where the body is in a file instead, its descriptor, to be closed.

    Empty when the other side is gone. Raises OSError, TimeoutError with a timeout.
    """
    message, attached, _, _ = source.recvmsg(INLINE_BYTES + 1, _ONE_DESCRIPTOR)
    return message[1:], int.from_bytes(attached[0][2], sys.byteorder) if attached else None


def receive_whole(source: socket.socket) -> bytes:
    """The next message, head and body."""
    message, file = receive(source)
    return message if file is None else message + read_file(file)


def read_file(file: int) -> bytes:
    """The content of a memory file, which is closed."""
    with os.fdopen(file, "rb") as content:
        content.seek(0)
        return content.read()


def memory_file(*parts: bytes) -> int:
    """A descriptor of an unnamed file in memory that holds this, to be read from its start."""
    file = os.memfd_create("input", os.MFD_CLOEXEC)
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(file, rest) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file
