# A million lines: the parser's trees take gigabytes.
# verdict: memory limit | time limit | syntax error
# limits: timeout=4, memory_mb=512
# program: "x = [(1, 2), {3: 4}, lambda y: (y, z)]\n" * 400_000
# test: "3\n", "9\n"

The program is made above.
