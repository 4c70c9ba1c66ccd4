"""Checkpoints of this and of other projects: reading, rebuilding, running external code."""
