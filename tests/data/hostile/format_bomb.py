# One format conversion asks for 100 GB.
# verdict: memory limit
# test: "3\n", "9\n"

print(f"{int(input()):>{10**11}}")
