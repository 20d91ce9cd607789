# The judge's environment has secrets; the program's has none.
# verdict: correct
# test: "3\n", "9 contained\n"

import ctypes
import os

found = [name for name, value in os.environ.items() if "swordfish" in value]
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
found += [name for name in ("SECRET_KEY", "HF_TOKEN", "OPENAI_API_KEY") if getenv(name.encode())]
for pid in ("self", os.getppid()):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            found += [str(pid)] * (b"swordfish" in file.read())
    except OSError:
        pass
print(int(input()) ** 2, *found or ["contained"])
