# A tree deeper than the compiler accepts.
# verdict: syntax error
# program: "x = a" + ".a" * 100_000
# test: "3\n", "9\n"

The program is made above.
