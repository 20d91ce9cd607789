# Overwrites the interpreter's own objects until it crashes.
# verdict: runtime error: SIGSEGV | runtime error: SIGBUS | runtime error: SIGABRT | runtime error: SIGILL
# test: "3\n", "9\n"

import ctypes

print(int(input()) ** 2, flush=True)
for kind in (int, str, dict, list, type(print), type):
    ctypes.memset(id(kind), 0xFF, 400)
print([str(n) for n in range(10)])
