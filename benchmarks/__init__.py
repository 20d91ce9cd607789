"""Benchmarks: each module measures one thing, most against the best alternative; `make bench` runs nearly all."""

import argparse
import inspect
import sys
from collections.abc import Callable


def run_benchmark(main: Callable[..., None]) -> None:
    """Runs a module's `main` with the whole numbers of the command line; `--help` prints the module's docstring."""
    parser = argparse.ArgumentParser(
        description=sys.modules[main.__module__].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(name, nargs="?", type=int, default=parameter.default, help=f"default: {parameter.default}")
    main(**vars(parser.parse_args()))
