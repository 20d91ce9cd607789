"""Runs every benchmark: `make bench`."""

from benchmarks import client, converting, curating, judging, merging, plotting, sampling

if __name__ == "__main__":
    judging.main()
    client.main()
    converting.main()
    curating.main()
    plotting.main()
    merging.main()
    sampling.main()
