# Opens standard input and output as files by name.
# verdict: correct
# test: "3\n", "9\n"
# test: "4\n", "16\n"

with open("/dev/stdin") as source, open("/dev/stdout", "w") as target:
    target.write(f"{int(source.read()) ** 2}\n")
