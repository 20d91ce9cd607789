# Constants that a compiler could expand to gigabytes.
# verdict: correct
# test: "3\n", "9 255\n"

x = ((((1,) * 255,) * 255,) * 255,) * 255
y = lambda: "x" * 4096 * 4096 * 4096 * 4096
z = lambda: 1 << 10**10
print(int(input()) ** 2, len(x))
