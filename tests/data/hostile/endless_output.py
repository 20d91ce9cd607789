# Prints forever.
# verdict: output limit
# limits: timeout=4
# test: "3\n", "9\n"

while True:
    print("x" * 10**5)
