"""Benchmarks: each module measures one thing, most against the best alternative; `make bench` runs nearly all."""
