# Sends back a number of four million digits, which would take the judge minutes to parse.
# verdict: runtime error: exit status 0 | runtime error: bad result | wrong answer | time limit
# function: f
# test: [1], 1

import os


def f(x):
    for fd in range(3, 1024):
        try:
            rest = memoryview(b'{"value": ' + b"9" * 4_000_000 + b"}\n")
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            pass
    os._exit(0)
