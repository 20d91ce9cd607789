# Catches the MemoryError and continues.
# verdict: correct
# test: "3\n", "9\n"

try:
    table = [0] * 10**12
except MemoryError:
    print(int(input()) ** 2)
