"""Predictive networks: cores, readouts, training, predictions, checkpoints of ours and of others."""
