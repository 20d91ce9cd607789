# An exception that only claims to be the memory's.
# verdict: memory limit
# test: "3\n", "9\n"

raise MemoryError
