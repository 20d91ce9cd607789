# Files, folders and temporary files of its own are allowed.
# verdict: correct
# test: "3\n", "9 hello True\n"

import os
import tempfile

os.makedirs("a/b")
with open("a/b/file", "w") as file:
    file.write("hello")
os.rename("a/b/file", "a/b/other")
with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w+") as file, open("a/b/other") as other:
    file.write("x")
    print(int(input()) ** 2, other.read(), os.path.isdir(folder))
