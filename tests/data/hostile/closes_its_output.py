# Closes standard output under Python and prints: the flush at the end fails, as an interpreter says by its status.
# verdict: runtime error: exit status 120
# test: "3\n", "9\n"

import os

os.close(1)
print(int(input()) ** 2)
