"""A world small enough for the repository: problems, two models trained on it from scratch, and runs of the pipeline."""
