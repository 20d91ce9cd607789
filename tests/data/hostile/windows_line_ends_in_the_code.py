# Code from Windows, with a continued line and a long string.
# verdict: correct
# program: text.replace("\n", "\r\n")
# test: "3\n", "9 2\n"

n = int(input()) \
    ** 2
lines = """one
two"""
print(n, len(lines.split("\n")))
