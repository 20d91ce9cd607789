# Takes and uses memory until none is left.
# verdict: memory limit
# limits: timeout=4
# test: "3\n", "9\n"

x = b"x" * 10**6
while True:
    x += x
