# File names that are not text, are too long for a screen or look like flags, and pipes that block whoever opens them.
# verdict: correct
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os

left = len(os.listdir())
for name in (b"\xff\xfe", b"new\nline", b"-rf", b" ", b"*", b"x" * 255, b"\x1b[2J"):
    with open(name, "wb"):
        pass
try:
    os.mkfifo("pipe")
except PermissionError:
    pass
os.symlink("loop", "loop")
os.mkdir("folder")
os.symlink("..", "folder/up")
print(int(input()) ** 2, left <= 1)
