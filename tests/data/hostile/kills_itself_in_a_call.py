# Sends SIGKILL to itself while its function runs.
# verdict: runtime error: SIGKILL
# function: f
# test: [1], 1
# test: [2], 2

import os
import signal


def f(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x
