"""Embeddings of neurons: what is taken out of a network, and how it is scaled before clustering."""
