# Sends signals to its parent, its group, every process, process 1, and a process whose number it was told.
# verdict: correct
# test: f"{canary}\n", "contained\n"

import os
import signal

done = []
for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
    for pid in (os.getppid(), 1, -1, int(input()) if number == signal.SIGSTOP else -2, 2, -os.getppid()):
        try:
            os.kill(pid, number)
            done.append((pid, number))
        except OSError:
            pass
print(*done or ["contained"])
