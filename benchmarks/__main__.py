"""Runs every benchmark: `make bench`."""

from benchmarks import client, converting, curating, dial, evalplus, judging, merging, plotting, sampling

if __name__ == "__main__":
    judging.main()
    evalplus.main()
    client.main()
    converting.main()
    curating.main()
    plotting.main()
    merging.main()
    dial.main()
    sampling.main()
