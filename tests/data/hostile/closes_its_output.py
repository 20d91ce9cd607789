# Closes descriptor 1 below Python and prints: the final flush fails, and the exit status shows it as usual.
# verdict: runtime error: exit status 120
# test: "3\n", "9\n"

import os

os.close(1)
print(int(input()) ** 2)
