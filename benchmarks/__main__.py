"""Runs every benchmark: `make bench`."""

from benchmarks import client, judging, sampling

if __name__ == "__main__":
    judging.main()
    client.main()
    sampling.main()
