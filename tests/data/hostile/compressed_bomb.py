# A few kilobytes that unpack to 100 GB.
# verdict: memory limit
# limits: timeout=4
# test: "3\n", "9\n"

import gzip

print(len(gzip.decompress(gzip.compress(bytes(10**7), 1) * 10**4)))
