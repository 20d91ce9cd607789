"""Runs every benchmark: `make bench`."""

from benchmarks import client, judging, merging, sampling

if __name__ == "__main__":
    judging.main()
    client.main()
    merging.main()
    sampling.main()
