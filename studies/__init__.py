"""Studies of the claim on real models: the scripts that reproduce each study, its results, and what they show.

May import all rooms but the lab and the benchmarks; nothing imports a study.
"""
