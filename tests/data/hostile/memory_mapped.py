# Maps 100 GB of memory without Python's allocator.
# verdict: runtime error: OSError
# test: "3\n", "9\n"

import mmap

mmap.mmap(-1, 100 * 10**9)
print(int(input()) ** 2)
