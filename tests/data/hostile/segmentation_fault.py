# Reads at address zero after the right answer.
# verdict: runtime error: SIGSEGV
# test: "3\n", "9\n"

import ctypes

print(int(input()) ** 2, flush=True)
ctypes.string_at(0)
