"""The page of answers: what it shows of a record, and the one HTML file that holds it (see analysis/view_samples.py).

May import `hindsight`.
"""
