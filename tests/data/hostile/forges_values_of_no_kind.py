# Sends back values that no function returned: broken tags, wrong shapes, endless nesting.
# verdict: wrong answer | runtime error: bad result
# function: f
# test: [1], [1]

import os


def f(x):
    for fd in range(3, 1024):
        for value in (b'["list", 3]', b'["dict", [[1]]]', b"[" * 10**4, b'["list"]', b'{"a": 1}', b"NaN", b"[[], 1]"):
            try:
                os.set_blocking(fd, False)
                os.write(fd, b'{"value": ' + value + b"}\n")
            except OSError:
                pass
    return [2]
