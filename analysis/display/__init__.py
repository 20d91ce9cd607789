"""The figures and tables of the notebooks. Computes no measure.

May import `analysis.reading`, `analysis.measures` and `hindsight`.
"""
