# Standard error leads nowhere, there is no terminal, and hardly any other descriptor is open.
# verdict: correct
# test: "3\n", "9 True False True\n"

import os

null = os.path.samestat(os.fstat(2), os.stat("/dev/null"))
terminal = any(os.isatty(fd) for fd in range(3))
number = 0
for fd in range(3, 4096):
    try:
        os.fstat(fd)
        number += 1
    except OSError:
        pass
print(int(input()) ** 2, null, terminal, number <= 1)
