# Reads a line that does not exist.
# verdict: runtime error: EOFError
# test: "3\n", "3 4\n"

print(input(), input())
