"""What the answers of runs look like: embeddings, entropy, diversity, and the notebooks that show them."""
