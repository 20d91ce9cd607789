"""Reading runs and datasets for analysis: answers with their verdicts and embeddings, rows of curated datasets.

May import `hindsight`.
"""
