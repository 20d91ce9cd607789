# Raises a MemoryError although it has memory.
# verdict: memory limit
# test: "3\n", "9\n"

raise MemoryError
