# Opens files until it reaches the limit.
# verdict: correct
# test: "3\n", "9 True\n"

import os

files = []
try:
    while len(files) < 10**5:
        files.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
print(int(input()) ** 2, len(files) < 4096)
