# Two hundred thousand lines: the parser's trees take gigabytes.
# verdict: memory limit | time limit | syntax error
# limits: timeout=4, memory_mb=192
# program: "x = [(1, 2), {3: 4}, lambda y: (y, z)]\n" * 200_000
# test: "3\n", "9\n"

The program is made above.
