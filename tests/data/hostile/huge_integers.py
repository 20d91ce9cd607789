# Reads, computes with and prints 95,000 digits.
# verdict: correct
# limits: timeout=4
# test: f"{3 ** 200_000}\n", f"{3 ** 200_000 + 1}\n"

print(int(input()) + 1)
