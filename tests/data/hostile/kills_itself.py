# Sends SIGKILL to itself, which is the program's fault and not the machine's.
# verdict: runtime error: SIGKILL
# test: "3\n", "9\n"

import os
import signal

print(int(input()) ** 2, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
