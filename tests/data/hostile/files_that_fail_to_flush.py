# Open files of its own classes that fail in every way when the interpreter flushes them at the end.
# verdict: correct
# test: "3\n", "9\n"

import io


class Failing(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        raise ValueError

    def flush(self):
        raise RuntimeError


class Odd(io.TextIOBase):
    __class__ = property(lambda self: 1 / 0)
    closed = property(lambda self: 1 / 0)

    def flush(self):
        raise OSError


files = [Failing(), Odd(), io.BufferedWriter(Failing())]
print(int(input()) ** 2)
