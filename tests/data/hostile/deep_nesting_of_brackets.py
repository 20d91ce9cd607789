# More brackets than the parser accepts.
# verdict: syntax error
# program: "x = " + "(" * 100_000 + "1" + ")" * 100_000
# test: "3\n", "9\n"

The program is made above.
