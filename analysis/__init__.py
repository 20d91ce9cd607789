"""Analysis of answers: embeddings, diversity, correctness and entropy, and the notebooks that show them."""
