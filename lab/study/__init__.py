"""The study of the paper's claim on the lab: its settings, measures, statistics, tables and figures.

May import `lab.world`, `lab.training`, `analysis` and `hindsight`.
"""
