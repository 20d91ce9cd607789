# Forges a report of a failure with a name that no terminal or file should have to store.
# verdict: runtime error: \ud800\x00\x1b[2J\n100000 correct
# test: "3\n", "9\n"

import os

print(int(input()) ** 2, flush=True)
for fd in range(3, 1024):
    try:
        os.write(fd, b'{"error": "exception", "name": "\\ud800\\u0000\\u001b[2J\\n100000 correct"}\n')
    except OSError:
        pass
os._exit(1)
