# Answers two calls at once, the second one wrongly; it can only send its own answers.
# verdict: wrong answer
# function: f
# test: [1], 1
# test: [2], 2

import os


def f(x):
    for fd in range(3, 1024):
        try:
            os.write(fd, b'{"value": 1}\n' * 2)
        except OSError:
            pass
    os._exit(0)
