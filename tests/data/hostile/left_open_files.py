# Writes to standard output through file objects that it never closes.
# verdict: correct
# test: "3\n", "9 16\n"

out = open(1, "w", closefd=False)
out.write(f"{int(input()) ** 2} ")
out.flush()
more = open("/dev/stdout", "w")
more.write("16\n")
