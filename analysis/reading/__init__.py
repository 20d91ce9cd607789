"""Reading runs and datasets for analysis: answers with their verdicts, the rows of a curated dataset.

May import `hindsight`.
"""
