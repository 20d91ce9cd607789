# Sends SIGKILL to the process that started it.
# verdict: runtime error: PermissionError
# test: "3\n", "9\n"

import os

print(int(input()) ** 2, flush=True)
os.kill(os.getppid(), 9)
