# Reads and prints a line of ten megabytes.
# verdict: correct
# limits: timeout=4
# test: "ab" * 5_000_000, "ba" * 5_000_000

print(input()[::-1])
