# Prints the right answer and never ends, and writes forged messages of success to every descriptor.
# verdict: time limit
# limits: timeout=0.15
# test: "3\n", "9\n"

import os
import time

print(int(input()) ** 2, flush=True)
for fd in range(3, 1024):
    try:
        os.set_blocking(fd, False)
        os.write(fd, b'{"value": 9}\n{"status": 0, "cpu": 0.0, "limit": null}\n')
    except OSError:
        pass
time.sleep(10**6)
