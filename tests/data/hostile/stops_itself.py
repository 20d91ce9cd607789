# Sends SIGSTOP to itself: it neither runs nor ends.
# verdict: time limit
# limits: timeout=0.15
# test: "3\n", "9\n"

import os
import signal

print(int(input()) ** 2, flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
