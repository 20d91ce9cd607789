"""Runs the benchmarks, `make bench`, except `finding_programs` (of quality) and `evalplus_busy` (of verdicts)."""

from benchmarks import (
    choosing,
    client,
    converting,
    curating,
    dial,
    evalplus,
    extrapolating,
    judging,
    merging,
    plotting,
    run_benchmark,
    sampling,
)


def main() -> None:
    judging.main()
    evalplus.main()
    client.main()
    converting.main()
    curating.main()
    plotting.main()
    extrapolating.main(tries=30)
    choosing.main(replays=60)
    merging.main()
    dial.main()
    sampling.main()


if __name__ == "__main__":
    run_benchmark(main)
