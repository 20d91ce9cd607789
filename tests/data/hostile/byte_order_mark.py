# Code that starts with a byte order mark, as some editors write it.
# verdict: correct
# program: "\ufeff" + text
# test: "3\n", "9\n"

print(int(input()) ** 2)
