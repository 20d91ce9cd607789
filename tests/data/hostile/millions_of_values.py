# Sends a list with more items than the judge accepts, beside the function's own value.
# verdict: output limit
# limits: timeout=4
# function: f
# test: [1], 1

import os


def f(x):
    rest = memoryview(b'{"value": ["list", [' + b"{}," * 10_000_000 + b"{}]]}\n")
    for fd in range(3, 1024):
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            continue
    return 2
