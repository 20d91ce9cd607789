"""Studies of the claim on real models: scripts that make each study anew, its results, and what they show.

May import all rooms but the lab and the benchmarks; nothing imports a study.
"""
