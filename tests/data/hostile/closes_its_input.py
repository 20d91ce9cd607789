# Closes standard input, then reads it.
# verdict: runtime error: OSError
# test: "3\n", "9\n"

import os

os.close(0)
print(int(input()) ** 2)
