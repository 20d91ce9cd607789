"""Figures and tables of the notebooks.

May import `analysis.reading`, `analysis.measures` and `hindsight`.
"""
