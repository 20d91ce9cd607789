"""Run folders as a dataset that `datasets.load_dataset` reads, and back: rows, their Parquet files, and the card.

May import hindsight. Nothing here speaks to the Hub: `push_run.py` and `pull_run.py` do.
"""
