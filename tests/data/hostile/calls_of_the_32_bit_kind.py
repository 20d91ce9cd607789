# Forks through the 32-bit system call gate, where calls have other numbers, in its own machine code.
# verdict: runtime error: SIGSYS | runtime error: SIGSEGV | correct
# test: "3\n", "9 contained\n"

import ctypes
import mmap
import os
import platform

done = "contained"
if platform.machine() == "x86_64":
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("53 b8 02000000 cd80 5b c3"))  # push rbx; mov eax, 2; int 0x80; pop rbx; ret
    parent = os.getpid()
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    if os.getpid() != parent:
        os._exit(0)
    if result > 0:
        done = "forked"
print(int(input()) ** 2, done)
