# No memory is no end for a program that can do without.
# verdict: correct
# test: "3\n", "9\n"

try:
    table = [0] * 10**12
except MemoryError:
    print(int(input()) ** 2)
