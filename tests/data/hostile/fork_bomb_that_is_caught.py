# Forks endlessly and keeps trying after refusals.
# verdict: correct
# test: "3\n", "9 contained\n"

import os

parent, children = os.getpid(), 0
for _ in range(1000):
    try:
        children += os.fork() > 0
    except OSError:
        pass
    if os.getpid() != parent:
        os._exit(0)
print(int(input()) ** 2, "contained" if children == 0 else f"{children} children")
