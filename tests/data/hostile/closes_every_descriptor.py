# Closes all there is and then fails: it cannot say with what.
# verdict: runtime error: exit status 1
# test: "3\n", "9\n"

import os

print(int(input()) ** 2, flush=True)
os.closerange(0, 65536)
1 / 0
