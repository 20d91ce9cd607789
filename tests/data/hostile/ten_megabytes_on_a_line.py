# A line of ten megabytes in and out.
# verdict: correct
# limits: timeout=4
# test: "ab" * 5_000_000, "ba" * 5_000_000

print(input()[::-1])
