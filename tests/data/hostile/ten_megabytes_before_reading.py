# Fills its output pipe while its input pipe is full.
# verdict: correct
# limits: timeout=4
# test: "ab" * 5_000_000, "c" * 10_000_000 + "10000000"

print("c" * 10**7, end="", flush=True)
print(len(input()))
