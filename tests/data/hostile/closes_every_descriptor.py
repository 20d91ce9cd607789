# Closes every descriptor and then fails, so it cannot report the exception.
# verdict: runtime error: exit status 1
# test: "3\n", "9\n"

import os

print(int(input()) ** 2, flush=True)
os.closerange(0, 65536)
1 / 0
