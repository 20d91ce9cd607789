# Folders without permissions, with files inside.
# verdict: correct
# test: "3\n", "9 True\n"
# test: "4\n", "16 True\n"

import os

left = len(os.listdir())
os.makedirs("a/b/c")
open("a/b/c/file", "w").close()
os.mkdir("closed", 0)
os.umask(0o777)
os.mkdir("closed too")
open("closed file", "w").close()
for path in ("a/b/c", "a/b", "a", "."):
    try:
        os.chmod(path, 0)
    except OSError:
        pass
print(int(input()) ** 2, left <= 1)
