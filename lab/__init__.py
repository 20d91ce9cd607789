"""A world small enough for the repository: problems, two models trained on it from scratch, the demo, the study."""
