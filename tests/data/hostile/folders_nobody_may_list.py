# A deep tree of folders that can be entered but not listed.
# verdict: correct
# limits: timeout=4
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os

left = len(os.listdir())
for _ in range(600):
    os.mkdir("d", 0o300)
    os.chdir("d")
    open("file", "w").close()
print(int(input()) ** 2, left <= 1)
