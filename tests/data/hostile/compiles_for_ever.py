# A number of two million digits, which takes the parser many seconds.
# verdict: time limit
# limits: timeout=0.15
# program: "x = " + "9" * 2_000_000
# test: "3\n", "9\n"

The program is made above.
