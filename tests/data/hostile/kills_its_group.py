# Sends signals to its own process group and to its parent's.
# verdict: correct
# test: "3\n", "9 contained\n"

import os
import signal

done = []
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ways = [
    lambda: os.kill(0, signal.SIGTERM),
    lambda: os.killpg(0, signal.SIGTERM),
    lambda: os.killpg(os.getpgid(os.getppid()), signal.SIGKILL),
    lambda: os.killpg(os.getsid(0), signal.SIGTERM),
]
for number, way in enumerate(ways):
    try:
        way()
        done.append(number)
    except OSError:
        pass
print(int(input()) ** 2, *done or ["contained"])
