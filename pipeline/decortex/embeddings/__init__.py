"""Embeddings of neurons: how features out of a network are scaled before they are clustered."""

from decortex.embeddings.mapping import EmbeddingConfig, EmbeddingMap, Excluded, fit_map

__all__ = ["EmbeddingConfig", "EmbeddingMap", "Excluded", "fit_map"]
