"""The page of answers: what it shows of a record, and one HTML file that holds it all (see analysis/view_samples.py).

May import `hindsight`.
"""
