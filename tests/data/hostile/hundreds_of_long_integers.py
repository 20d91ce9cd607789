# Returns integers that are each just short enough to parse, but together would take the judge a minute.
# verdict: wrong answer
# limits: timeout=4
# function: f
# test: [1], 1

import os


def f(x):
    rest = memoryview(b'{"value": ["list", [' + b", ".join([b"9" * 190_000] * 100) + b"]]}\n")
    for fd in range(3, 1024):
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            continue
    return 2
