# Reads a line that is not there.
# verdict: runtime error: EOFError
# test: "3\n", "3 4\n"

print(input(), input())
