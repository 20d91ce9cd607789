"""A world small enough to live in the repository: problems, and two models trained on it from nothing."""
