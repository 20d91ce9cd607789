"""A pipe through which a child's output, or its report, reaches the judge."""

import os

OUTPUT_BYTES = 64 << 20  # most that a program may print, or its function return, in a test
LARGE_BYTES = 1 << 20  # the memory of larger outputs is given back to the machine at once


class OutputPipe:
    """The content read from a descriptor, up to OUTPUT_BYTES; beyond that only the beginning is kept.

    The content is one piece of memory, because many small pieces would not all go back to the machine afterwards.
    """

    def __init__(self, descriptor: int):
        self.descriptor, self.data = descriptor, bytearray()
        self.too_much = self.was_large = self.has_line = False

    def read(self) -> bool:
        """Read what has arrived, at most a little too much; whether more may come."""
        while not self.too_much:
            try:
                data = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.data += data
            self.has_line = self.has_line or b"\n" in data
            self.was_large = self.was_large or len(self.data) > LARGE_BYTES
            if len(self.data) > OUTPUT_BYTES:
                self.too_much = True
                del self.data[1 << 16 :]
        return True

    def content(self) -> bytes:
        """Everything read and not taken."""
        return bytes(self.data)

    def take_lines(self) -> list[bytes]:
        """Take the complete lines out."""
        *lines, rest = self.content().split(b"\n")
        self.data, self.has_line = bytearray(rest), False
        return lines
