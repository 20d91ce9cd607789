# Harmless devices exist.
# verdict: correct
# test: "3\n", "9 8 0 -1\n"

with open("/dev/null", "w") as null:
    null.write("nothing")
with open("/dev/urandom", "rb") as random, open("/dev/zero", "rb") as zero, open("/dev/null") as null:
    print(int(input()) ** 2, len(random.read(8)), sum(zero.read(8)), len(null.read()) - 1)
