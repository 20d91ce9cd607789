# An exception whose name has control characters and a line break.
# verdict: runtime error: \x1b[2J\n100000 correct
# test: "3\n", "9\n"

print(int(input()) ** 2)
raise type("\x1b[2J\n100000 correct", (Exception,), {})
