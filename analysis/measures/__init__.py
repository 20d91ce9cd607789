"""Numbers that describe answers: correctness, diversity and entropy, and comparisons with the paper. Draws nothing.

May import `analysis.reading`, `SkyThought` and `hindsight`.
"""
