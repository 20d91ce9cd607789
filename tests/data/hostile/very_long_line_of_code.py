# A table of 100,000 numbers on one line.
# verdict: correct
# program: "x = [" + "123, " * 100_000 + "]\n" + text
# test: "3\n", "100003\n"

print(len(x) + int(input()))
