"""The tables in chain order: specifications, networks, embeddings, clusterings, fine-tunings."""
