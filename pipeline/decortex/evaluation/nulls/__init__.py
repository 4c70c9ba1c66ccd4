"""Null models of an embedding, and values compared with them."""
