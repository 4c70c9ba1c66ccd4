"""Recordings: FileTreeDataset folders, natural-image sampling and the simulated cortex."""
