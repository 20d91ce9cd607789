"""Runs every benchmark: `make bench`."""

from benchmarks import client, converting, judging, merging, sampling

if __name__ == "__main__":
    judging.main()
    client.main()
    converting.main()
    merging.main()
    sampling.main()
