# Backtracks forever inside the regular expression engine.
# verdict: time limit
# limits: timeout=0.15
# test: "", "1"

import re

print(re.match(r"(a|aa)+$", "a" * 100 + "b"))
