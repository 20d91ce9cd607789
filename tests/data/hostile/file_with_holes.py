# An empty sparse file of a terabyte.
# verdict: runtime error: OSError
# test: "3\n", "9\n"

print(int(input()) ** 2)
with open("file", "wb") as file:
    file.truncate(1 << 40)
