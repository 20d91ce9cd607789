# Creates anonymous and file-backed memory maps.
# verdict: correct
# test: "3\n", "9 hello\n"

import mmap

with open("file", "w+b") as file:
    file.write(b"hello")
    file.flush()
    with mmap.mmap(file.fileno(), 0) as view, mmap.mmap(-1, 1 << 20) as memory:
        memory[:5] = view[:5]
        print(int(input()) ** 2, memory[:5].decode())
