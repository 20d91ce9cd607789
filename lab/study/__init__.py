"""The study of the paper's claim on the lab: its settings, runs, measures, statistics, tables and figures.

May import `lab.world`, `analysis` and `hindsight`.
"""
