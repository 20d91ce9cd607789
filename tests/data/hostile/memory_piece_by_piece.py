# Takes memory until there is no more, and uses it.
# verdict: memory limit
# limits: timeout=4
# test: "3\n", "9\n"

x = b"x" * 10**6
while True:
    x += x
