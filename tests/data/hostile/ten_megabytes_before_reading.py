# Fills the pipe of its output while that of its input is full.
# verdict: correct
# limits: timeout=4
# test: "ab" * 5_000_000, "c" * 10_000_000 + "10000000"

print("c" * 10**7, end="", flush=True)
print(len(input()))
