"""Clustering losses of fine-tuning: one module per loss, and what they share."""
