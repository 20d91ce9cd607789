"""Runs every benchmark: `make bench`."""

from benchmarks import judging, sampling

if __name__ == "__main__":
    judging.main()
    sampling.main()
