# A file that grows forever: at the limit, it gets an error instead of a signal.
# verdict: runtime error: OSError | output limit
# limits: timeout=4
# test: "3\n", "9\n"

print(int(input()) ** 2)
with open("file", "wb") as file:
    while True:
        file.write(bytes(1 << 20))
