"""Numbers that describe answers: correctness, diversity, entropy, and the paper's own figures.

May import `analysis.reading`, `SkyThought` and `hindsight`. Nothing here draws.
"""
