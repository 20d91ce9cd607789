# Allocates 100 GB in one piece.
# verdict: memory limit
# test: "3\n", "9\n"

x = bytearray(100 * 10**9)
print(int(input()) ** 2)
