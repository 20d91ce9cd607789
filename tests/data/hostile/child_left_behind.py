# Tries to leave a process in a separate session that answers later tests.
# verdict: correct
# test: "3\n", "9 contained\n"
# test: "4\n", "16 contained\n"

import os
import time

left = "contained"
try:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.2)
            os.write(1, b"answer of another\n")
            time.sleep(10**6)
        os._exit(0)
    left = "a child is left"
except OSError:
    pass
print(int(input()) ** 2, left)
